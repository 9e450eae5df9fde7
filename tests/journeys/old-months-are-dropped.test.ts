/**
 * readings of three months ──▶ a retention of 60 days ──▶ the months that are past it altogether are gone, the others whole
 */
import { decodeArtifact } from "@calibration/models/artifact.ts";
import { decodeCalibrationModel } from "@calibration/models/calibration-fit.ts";
import { openDatabase } from "@calibration/shared/database.ts";
import { createFacts } from "@calibration/shared/facts.ts";
import { createKeeping } from "@calibration/shared/keep-together.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createRegistry } from "@calibration/shared/metrics.ts";
import { createModelCache } from "@calibration/shared/model-cache.ts";
import { createTimePartitions, dropExpired, openMonths } from "@calibration/shared/time-partitions.ts";
import { expect, it } from "vitest";
import { correctReadings, keepCorrections } from "../../services/calibration/src/handler.ts";
import { gatherReadings, keepGathered } from "../../services/ingest/src/handler.ts";
import { openPlant, WAIT_MS } from "../support/plant.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 400;
const RETENTION_DAYS = 60;

it(
  "a month that the retention has passed altogether is dropped, and nothing else is",
  { timeout: WAIT_MS },
  async () => {
    await using plant = await openPlant();
    const { pool } = plant.database;
    const now = Date.UTC(2026, 10, 20);
    const instants = [
      "2026-07-31T23:59:59.999Z",
      "2026-08-15T00:00:00.000Z",
      "2026-09-20T00:00:00.000Z",
      "2026-09-22T00:00:00.000Z",
    ];
    await createTimePartitions(pool, "readings").ensure(instants.map((text) => Date.parse(text)));
    // And one from before any month stood.
    for (const timestamp of [...instants, "1999-01-01T00:00:00.000Z"])
      await pool.query("insert into readings values (1, $1, 20, 0, 1, $1)", [timestamp]);
    const kept = async () =>
      (await plant.rows<{ timestamp: Date }>("select timestamp from readings order by 1")).map(({ timestamp }) =>
        timestamp.toISOString(),
      );

    expect(await dropExpired(pool, "readings", 0, now)).toEqual([]);
    expect(await kept()).toHaveLength(5);

    expect(await dropExpired(pool, "readings", 60, now)).toEqual(["readings_2026_07", "readings_2026_08"]);
    expect(await kept()).toEqual(["2026-09-20T00:00:00.000Z", "2026-09-22T00:00:00.000Z"]);
    expect(await dropExpired(pool, "readings", 60, now)).toEqual([]);
  },
);

/**
 * Four hundred days, each with its readings, a late one and two that are refused, through what ingest and calibration do
 * with a batch: the months are made ahead and dropped behind, and nothing else grows or goes.
 */
it("four hundred days pass, and what is kept is the last sixty of them", { timeout: WAIT_MS }, async () => {
  await using plant = await openPlant();
  const sensor = await plant.aSensor({ id: 1 });
  await using services = new AsyncDisposableStack();
  // As each service signs in: what it makes and drops, it may.
  const ingestPool = services.use(await openDatabase(plant.databaseUrlOf("ingest"), { pipeline: true })).pool;
  const calibrationPool = services.use(await openDatabase(plant.databaseUrlOf("calibration"), { pipeline: true })).pool;
  const log = createLog("test", "warn");
  // PostgreSQL, too, lets nobody drop a month that is not over by its own clock: these days are the last ones.
  const beginsMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAYS * DAY_MS;
  await plant.rows("update sensor_versions set valid_from = $1", [new Date(beginsMs - DAY_MS)]);
  let nowMs = beginsMs;
  const clock = () => nowMs;
  const both = { retentionDays: RETENTION_DAYS, log, clock };
  const months = services.use(await openMonths({ ...both, pool: ingestPool, table: "readings" }));
  const correctedMonths = services.use(
    await openMonths({ ...both, pool: calibrationPool, table: "corrected_readings" }),
  );
  const models = services.use(
    createModelCache({
      type: "calibration",
      pool: calibrationPool,
      decode: (artifact) => decodeCalibrationModel(decodeArtifact("calibration", artifact)),
      megabytesMax: 1,
      log,
      registry: createRegistry("test"),
    }),
  );
  const gather = gatherReadings({ ...both, pool: ingestPool, facts: createFacts(ingestPool), months });
  const correct = correctReadings({
    ...both,
    pool: calibrationPool,
    facts: createFacts(calibrationPool),
    months: correctedMonths,
    models,
  });
  const keepInIngest = createKeeping({ pool: ingestPool, service: "ingest", keep: keepGathered });
  const keepInCalibration = createKeeping({ pool: calibrationPool, service: "calibration", keep: keepCorrections });
  for (const service of ["ingest", "calibration"])
    await plant.rows(
      "insert into stream_positions (service, partition, stream_created, kept, told, snapshot, attempts, untold, counters) values ($1, 0, 'simulated', 0, 0, 0, 0, '[]', '{}')",
      [service],
    );

  const partitionsOf = async (table: string) =>
    (
      await plant.rows<{ name: string }>(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1",
        [table],
      )
    )
      .map(({ name }) => name)
      .filter((name) => name !== `${table}_default`);
  let most = 0;
  for (let day = 0; day < DAYS; day++) {
    nowMs = beginsMs + day * DAY_MS;
    await Promise.all([months.tend(), correctedMonths.tend()]);
    const reading = (ageMs: number) => ({ value: day, timestamp: nowMs - ageMs });
    const readings = [
      ...Array.from({ length: 24 }, (_, hour) => reading(DAY_MS - hour * HOUR_MS)),
      // Between two of the hours, so that it is no repeat.
      reading(10.5 * DAY_MS + 60_000),
      reading((RETENTION_DAYS + 0.5) * DAY_MS),
      reading(-DAY_MS),
    ];
    const batch = {
      partition: 0,
      streamCreated: "simulated",
      lastSequence: day + 1,
      messages: [
        {
          sequence: day + 1,
          subject: `readings.0.${sensor.site}.${sensor.key}`,
          storedMs: nowMs,
          payload: Buffer.from(JSON.stringify(readings)),
          traceparent: null,
        },
      ],
    };
    const work = { batch, kept: day, counters: {}, bytes: 0, alone: true };
    await keepInIngest({ ...work, decided: await gather.decide(batch) });
    await keepInCalibration({ ...work, decided: await correct.decide(batch) });
    most = Math.max(most, (await partitionsOf("readings")).length, (await partitionsOf("corrected_readings")).length);
  }
  await Promise.all([months.tend(), correctedMonths.tend()]);

  // Of sixty days, those of three months at most; this month and the next; and the one that is not past altogether.
  expect(most).toBeLessThanOrEqual(5);
  const oldestMs = nowMs - RETENTION_DAYS * DAY_MS;
  const firstOfMonth = (ms: number) => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth(), 1);
  for (const table of ["readings", "corrected_readings"]) {
    const [kept] = await plant.rows<{ days: number; recent: number; oldest: Date; strayed: number }>(
      `select count(*) filter (where timestamp >= $1)::int as recent, min(timestamp) as oldest,
         (select count(*)::int from ${table}_default) as strayed from ${table}`,
      [new Date(oldestMs)],
    );
    // Each hour of the sixty days, and the late reading of each day but for those of the last ten and a half.
    expect({ table, ...kept }).toMatchObject({ recent: RETENTION_DAYS * 24 + RETENTION_DAYS - 10, strayed: 0 });
    expect(kept!.oldest.getTime()).toBeGreaterThanOrEqual(firstOfMonth(oldestMs));
    expect(await partitionsOf(table)).toHaveLength(monthsBetween(oldestMs, nowMs) + 2);
  }
  expect(await plant.rows("select reason, count(*)::int as n from dead_letters group by 1 order by 1")).toEqual([
    { reason: "future_timestamp", n: DAYS },
    { reason: "too_old", n: DAYS },
  ]);
  // The rollups stay: an hour of each hour there was.
  const [{ hours }] = (await plant.rows<{ hours: number }>("select count(*)::int as hours from readings_per_hour")) as [
    { hours: number },
  ];
  expect(hours).toBeGreaterThanOrEqual(DAYS * 24);
});

const monthsBetween = (fromMs: number, toMs: number): number => {
  const [from, to] = [new Date(fromMs), new Date(toMs)];
  return (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
};
