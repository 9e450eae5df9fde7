/**
 *   plant gateway ──what cannot be used──▶ READINGS ──▶ ingest ──▶ dead_letters ──dead.<site>.<key>──▶ DEAD_LETTERS
 *                                                                       ▲
 *                                    an operator ──replay──▶ gateway ───┘──readings.<site>.<key>──▶ READINGS
 *
 * One letter for each reason there is, and the books: published = kept + repeats + dead-lettered.
 */
import { DEAD_REASONS } from "@calibration/shared/reading.ts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

const DAY_MS = 86_400_000;
const RETENTION = { READINGS_RETENTION_DAYS: "3650" };
/** What the database refuses to keep, again and again. */
const POISON = 666;

let plant: Plant;
let ask: Ask;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  plant = stack.use(await openPlant({ partitions: 2 }));
  await plant.rows(`create function refuse() returns trigger language plpgsql as $$
    begin if new.raw_value = ${POISON} then raise exception 'refused'; end if; return new; end $$`);
  await plant.rows("create trigger refuse before insert on readings for each row execute function refuse()");
  await plant.start("ingest", RETENTION);
  ({ ask } = await openGateway(plant, RETENTION));
});
afterAll(() => stack.disposeAsync());

const deadLettersTold = () => plant.allSaid("DEAD_LETTERS");

it("each reason has its letter, whole and told; everything else of the batch lands, and the books balance", async () => {
  const sensor = await plant.aSensor({ id: 7 });
  const now = Date.now();
  const publish = async (subject: string, payload: string | Uint8Array): Promise<number> =>
    (await plant.gateway.jetstream.publish(subject, payload, { timeout: WAIT_MS })).seq;
  const main7 = "readings.main.7";
  const future = JSON.stringify({ value: 1, timestamp: now + DAY_MS });
  const old = JSON.stringify({ value: 1, timestamp: now - 4_000 * DAY_MS });
  const poison = JSON.stringify({ value: POISON, timestamp: now });
  const tooMany = JSON.stringify(Array.from({ length: 10_001 }, (_, n) => ({ value: n, timestamp: now })));
  const tooLarge = JSON.stringify({ value: 1, remark: "é".repeat(600_000) });
  const expected: { seq: number; subject: string; dead: string; reason: string; detail: RegExp; payload: string }[] =
    [];
  const dies = async (
    reason: (typeof DEAD_REASONS)[number],
    detail: RegExp,
    payload: string,
    subject = main7,
    dead = "dead.main.7",
  ): Promise<void> =>
    void expected.push({ seq: await publish(subject, payload), subject, dead, reason, detail, payload });

  await dies("invalid_json", /JSON/, "{not json");
  await dies("invalid_reading", /^value must be a finite number$/, '{"value":"hot"}');
  await dies("invalid_reading", /offset/, '{"value":1,"timestamp":"2026-01-05T00:00:00"}');
  await dies("invalid_reading", /before the year 2000/, '{"value":1,"timestamp":1767571200}');
  await dies("invalid_reading", /good, uncertain or bad/, '{"value":1,"quality":"fine"}');
  await dies("invalid_reading", /empty array/, "[]");
  await dies("unknown_sensor", /no sensor/, '{"value":1}', "readings.main.nobody", "dead.main.nobody");
  await dies("unknown_sensor", /no sensor/, '{"value":1}', "readings.north.7", "dead.north.7");
  await dies("unknown_sensor", /token/, '{"value":1}', "readings.main.a$b", "dead.unparsable");
  await dies("future_timestamp", /5 minutes ahead/, future);
  await dies("too_old", /3650 days/, old);
  await dies("too_large", /10001 readings/, tooMany);
  await dies("too_large", /1048576/, tooLarge);
  await dies("processing_failed", /^ingest /, poison);
  expect(new Set(expected.map(({ reason }) => reason))).toEqual(new Set(DEAD_REASONS));

  // One bad element of an array is told alone and the others land; so does a repeat, once.
  const bad = `{"value": 1e400, "timestamp": ${now}, "remark": "as it was, spaces and all"}`;
  const array = `[{"value": 1, "timestamp": ${now}}, ${bad},\n {"value": 2, "timestamp": ${now - 1}}]`;
  const arraySeq = await publish(main7, array);
  await publish(
    main7,
    JSON.stringify([
      { value: 9, timestamp: now },
      { value: 9, timestamp: now - 1 },
    ]),
  );
  const notText = new Uint8Array([0x22, 0xff, 0x22]);
  const notTextSeq = await publish(main7, notText);

  const letters = expected.length + 2;
  await expect.poll(async () => (await deadLettersTold()).length, { timeout: WAIT_MS }).toBe(letters);
  const told = await deadLettersTold();
  for (const { seq, subject, dead, reason, detail, payload } of expected) {
    const letter = told.find(({ body }) => body.stream_sequence === seq)!;
    const shown = letter.body.payload as string;
    expect(letter).toEqual({
      subject: dead,
      id: expect.stringMatching(/^dead-/) as string,
      body: {
        id: expect.any(Number) as number,
        subject,
        reason,
        detail: expect.stringMatching(detail) as string,
        payload: shown,
        payload_truncated: Buffer.byteLength(payload) > 65_536,
        stream_sequence: seq,
        received_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      },
    });
    expect(payload.startsWith(shown)).toBe(true);
    // A character that the limit cuts in two, at most 4 bytes, is left out.
    const shownMax = Math.min(Buffer.byteLength(payload), 65_536);
    expect(Buffer.byteLength(shown)).toBeLessThanOrEqual(shownMax);
    expect(Buffer.byteLength(shown)).toBeGreaterThan(shownMax - 4);
  }
  expect(told.find(({ body }) => body.stream_sequence === arraySeq)!.body).toMatchObject({
    reason: "invalid_reading",
    payload: bad,
  });
  expect(told.find(({ body }) => body.stream_sequence === notTextSeq)!.body).toMatchObject({
    reason: "invalid_json",
    payload: Buffer.from(notText).toString("base64"),
    payload_encoding: "base64",
  });
  expect(new Set(told.map(({ id }) => id)).size).toBe(letters);
  // Whole in the table, whatever was told of it.
  expect(
    await plant.rows(
      "select length(payload) as bytes from dead_letters where reason = 'too_large' order by id desc limit 1",
    ),
  ).toEqual([{ bytes: Buffer.byteLength(tooLarge) }]);

  const [books] = await plant.rows<Record<string, number>>(`
    select sum((counters->>'received')::int)::int as published, sum((counters->>'kept')::int)::int as kept,
           sum((counters->>'repeated')::int)::int as repeats,
           sum((select sum(value::int) from jsonb_each_text(counters) where key like 'dead/%'))::int as dead
      from stream_positions where service = 'ingest'`);
  // Ten thousand and one in one letter, one in each of the others.
  const dead = letters - 1 + 10_001;
  expect(books).toEqual({ published: 2 + 2 + dead, kept: 2, repeats: 2, dead });
  expect(await plant.rows("select raw_value from readings order by 1")).toEqual([{ raw_value: 1 }, { raw_value: 2 }]);
  expect(sensor.key).toBe("7");
});

it("letters are replayed by id, or by reason, site and key, once each", async () => {
  const since = Date.now();
  const at = (n: number) => new Date(since - n * 1000).toISOString();
  const publish = (site: string, key: string, value: number, n: number) =>
    plant.publish({ site, key }, { value, timestamp: at(n) });
  await publish("north", "31", 1, 1);
  await publish("north", "31", 2, 2);
  await publish("south", "32", 3, 3);
  await plant.publish({ site: "south", key: "33" }, [{ value: 4 }]);
  const waiting = (query: string) => ask("GET", `/api/dead-letters/?reason=unknown_sensor&${query}`);
  await expect.poll(async () => (await waiting("site=north&key=31")).body.count, { timeout: WAIT_MS }).toBe(2);
  await expect.poll(async () => (await waiting("site=south")).body.count, { timeout: WAIT_MS }).toBe(2);
  expect(
    (await ask("GET", "/api/dead-letters/?group=sensor&reason=unknown_sensor&site=north&key=31")).body,
  ).toMatchObject({
    count: 1,
    results: [{ site: "north", key: "31", count: 2, last_value: 2, last_at: expect.any(String) as string }],
  });
  for (const [id, site] of [
    [31, "north"],
    [32, "south"],
    [33, "south"],
  ] as const)
    await ask("POST", "/api/sensors/", { id, site, name: `Sensor ${id}`, type: "Flow" });

  const replay = async (body: unknown) => (await ask("POST", "/api/dead-letters/replay/", body, "operator")).body;
  const one = { reason: "unknown_sensor", site: "north", key: "31" };
  expect(await replay(one)).toEqual({ replayed: 2 });
  expect(await replay(one)).toEqual({ replayed: 0 });
  const { body: south } = await waiting("site=south&key=32");
  const ids = { ids: [south.results[0].id] };
  expect(await replay(ids)).toEqual({ replayed: 1 });
  expect(await replay(ids)).toEqual({ replayed: 0 });
  // What has no name cannot come again under it, and stays.
  expect(await replay({ reason: "unknown_sensor", site: "south" })).toEqual({ replayed: 1 });
  expect(await replay({})).toMatchObject({ code: "invalid_input" });
  expect((await ask("POST", "/api/dead-letters/replay/", one, "viewer")).status).toBe(403);
  await expect
    .poll(() => plant.rows("select sensor_id, raw_value from readings where sensor_id > 30 order by 1, 2"), {
      timeout: WAIT_MS,
    })
    .toEqual([
      { sensor_id: 31, raw_value: 1 },
      { sensor_id: 31, raw_value: 2 },
      { sensor_id: 32, raw_value: 3 },
      { sensor_id: 33, raw_value: 4 },
    ]);
  // A reading that told no time keeps the one it first came at.
  const [first] = await plant.rows<{ same: boolean }>(
    `select r.timestamp = d.received_at as same from readings r join dead_letters d on d.key = '33' where r.sensor_id = 33`,
  );
  expect(first).toEqual({ same: true });
});
