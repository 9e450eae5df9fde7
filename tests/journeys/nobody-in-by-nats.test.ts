/**
 *   each NATS user ──▶ what it must not publish, must not read ──▶ refused, by name
 *   a plant fenced to one site ──▶ every sensor of another site ──▶ not one row of it changes
 */
import { openBus, type Bus } from "@calibration/shared/bus.ts";
import { SERVICE_USERS } from "@calibration/servers/nats-config.ts";
import { afterAll, describe, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";

const NORTH = { user: "north", password: "a password of north", site: "north" };
const SOUTHERN = [
  { id: 21, site: "south", key: "boiler" },
  { id: 22, site: "south", key: "22" },
];

const REFUSED_MS_MAX = 30_000;

let plant: Plant;

// The tests below stand on it, in their order.
it("two sites have their sensors and readings", async () => {
  plant = await openPlant({ services: ["ingest"], plants: [NORTH] });
  for (const sensor of SOUTHERN) await plant.aSensor(sensor);
  await plant.aSensor({ id: 11, site: "north", key: "boiler" });
  for (const sensor of SOUTHERN) await plant.publish(sensor, { value: 20, timestamp: "2026-01-01T00:00:00Z" });
  await expect.poll(southernRows, { timeout: WAIT_MS }).toHaveLength(SOUTHERN.length);
});
afterAll(() => plant?.[Symbol.asyncDispose]());

const southernRows = () =>
  plant.rows("select * from readings where sensor_id = any($1::int[]) order by 1, 2", [SOUTHERN.map(({ id }) => id)]);

const as = (user: string, password: string, options: { inboxPrefix?: string } = {}): Promise<Bus> =>
  openBus({ natsUrl: plant.nats.url, natsUser: user, natsPassword: password, name: `as ${user}`, ...options });

/** As a client asks JetStream, where the one we use asks otherwise. */
const askApi = async (bus: Bus, what: string, body: unknown): Promise<Record<string, unknown>> =>
  (await bus.connection.request(`$JS.API.${what}`, JSON.stringify(body), { timeout: WAIT_MS })).json();

/** Tries each of them, and returns those that the server refused, by its own word. */
async function refused(
  bus: Bus,
  tried: { publish?: readonly string[]; subscribe?: readonly string[] },
): Promise<string[]> {
  const found = new Set<string>();
  void (async () => {
    for await (const status of bus.connection.status()) {
      if (status.type !== "error") continue;
      const { operation, subject } = status.error as { operation?: string; subject?: string };
      if (operation !== undefined && subject !== undefined) found.add(`${operation} ${subject}`);
    }
  })();
  for (const subject of tried.publish ?? []) bus.connection.publish(subject, "{}");
  for (const subject of tried.subscribe ?? []) bus.connection.subscribe(subject, { callback: () => undefined });
  await bus.connection.flush();
  const wanted = (tried.publish?.length ?? 0) + (tried.subscribe?.length ?? 0);
  // The server says so at once; where it allows one of them, this waits in vain and the comparison says which.
  for (const untilMs = Date.now() + REFUSED_MS_MAX; found.size < wanted && Date.now() < untilMs;)
    await new Promise((resolve) => setTimeout(resolve, 10));
  return [...found].toSorted();
}

const named = (tried: { publish?: readonly string[]; subscribe?: readonly string[] }): string[] =>
  [
    ...(tried.publish ?? []).map((subject) => `publish ${subject}`),
    ...(tried.subscribe ?? []).map((subject) => `subscription ${subject}`),
  ].toSorted();

/** What no service may do: make, change, empty or remove a stream, forge an answer, read a colleague's mail. */
const FOR_NO_SERVICE = {
  publish: [
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.UPDATE.READINGS",
    "$JS.API.STREAM.PURGE.READINGS",
    "$JS.API.STREAM.DELETE.READINGS",
    "$JS.API.STREAM.MSG.DELETE.READINGS",
    "$JS.API.STREAM.DELETE.EVENTS",
    "$JS.API.STREAM.RESTORE.READINGS",
    "$JS.API.ACCOUNT.PURGE.PLATFORM",
    "$SYS.REQ.SERVER.PING",
    "_INBOX_admin.forged",
    "elsewhere",
  ],
  subscribe: [">", "readings.>", "$JS.>", "_INBOX_admin.>", "_INBOX.>"],
};

/** What each service says; all of it is forbidden to the others. */
const SAYS: Record<string, readonly string[]> = {
  ingest: ["ticks.0", "presence.ingest"],
  anomaly: ["events.anomaly.south.boiler", "presence.anomaly"],
  drift: ["events.drift.south.boiler", "presence.drift"],
  calibration: ["corrected.south.boiler", "presence.calibration"],
  trainer: ["presence.trainer", "$JS.API.CONSUMER.MSG.NEXT.TRAINING.trainers", "$JS.ACK.TRAINING.trainers.1.1.1.1.1"],
  gateway: [
    "readings.south.boiler",
    "resolutions.0.1",
    "events.sensor.south.boiler",
    "presence.gateway",
    "$JS.API.STREAM.MSG.GET.READINGS",
    "$JS.API.CONSUMER.CREATE.EVENTS.mine",
  ],
};

/** Whoever hears the log may give a message up, and says so. */
const HEARS: readonly string[] = ["ingest", "anomaly", "drift", "calibration"];

describe("a service", () => {
  it.each(SERVICE_USERS)("%s says its own, and is refused everything else", async (user) => {
    await using bus = await as(user, plant.nats.users[user]);
    const others = Object.entries(SAYS).flatMap(([other, says]) => (other === user ? [] : says));
    const letters = HEARS.includes(user) ? [] : ["dead.south.boiler"];
    const tried = { publish: [...FOR_NO_SERVICE.publish, ...others, ...letters], subscribe: FOR_NO_SERVICE.subscribe };
    expect(await refused(bus, tried)).toEqual(named(tried));
    expect(await refused(bus, { publish: [`presence.${user}x`] })).toEqual([`publish presence.${user}x`]);
  });

  it("that hears the log may make consumers of it, and remove those of the other services: the known limit", async () => {
    await using anomaly = await as("anomaly", plant.nats.users.anomaly);
    await using drift = await as("drift", plant.nats.users.drift);
    const consumer = { name: "of-drift", ack_policy: "none", mem_storage: true, inactive_threshold: 60e9 } as never;
    await drift.manager.consumers.add("READINGS", consumer);
    expect(await anomaly.manager.consumers.delete("READINGS", "of-drift")).toBe(true);
    // Of any other stream it is refused.
    expect(await refused(anomaly, { publish: ["$JS.API.CONSUMER.CREATE.EVENTS.mine"] })).toHaveLength(1);
  });
});

it("the reader reads the results and nothing else", async () => {
  await using bus = await as("reader", plant.nats.users.reader);
  const tried = {
    publish: [
      "readings.south.boiler",
      "events.anomaly.south.boiler",
      "$JS.API.CONSUMER.CREATE.READINGS.mine",
      "$JS.API.CONSUMER.CREATE.TRAINING.trainers",
      "$JS.API.STREAM.PURGE.EVENTS",
      "$JS.API.STREAM.DELETE.CORRECTED",
      "$JS.API.STREAM.CREATE.MINE",
    ],
    subscribe: [">", "readings.>", "events.>"],
  };
  expect(await refused(bus, tried)).toEqual(named(tried));
  expect((await bus.manager.streams.info("CORRECTED")).config.name).toBe("CORRECTED");
});

describe("a client that knows no more than an address, a user and a password", () => {
  it("publishes as plant and sees its acknowledgement", async () => {
    await using bus = await as("plant", plant.nats.users.plant, { inboxPrefix: "_INBOX" });
    expect((await bus.jetstream.publish("readings.north.boiler", '{"value": 1}')).stream).toBe("READINGS");
    const tried = {
      subscribe: [">", "readings.>", "_INBOX_north.>", "$JS.>"],
      publish: ["$JS.API.INFO", "_INBOX.forged"],
    };
    expect(await refused(bus, tried)).toEqual(named(tried));
  });

  it("reads the results as reader: once, or by a consumer that lasts, made as clients make it now or as they once did", async () => {
    await using bus = await as("reader", plant.nats.users.reader, { inboxPrefix: "_INBOX" });
    const { streams } = await askApi(bus, "STREAM.NAMES", { subject: "dead.>" });
    expect(streams).toEqual(["DEAD_LETTERS"]);
    const once = await bus.jetstream.consumers.get("DEAD_LETTERS");
    await bus.manager.consumers.add("DEAD_LETTERS", { durable_name: "of-today", ack_policy: "explicit" } as never);
    const created = { stream_name: "DEAD_LETTERS", config: { durable_name: "of-old", ack_policy: "explicit" } };
    expect(await askApi(bus, "CONSUMER.DURABLE.CREATE.DEAD_LETTERS.of-old", created)).toMatchObject({ name: "of-old" });
    await plant.publish({ site: "nowhere", key: "nothing" }, { value: 1 });
    for (const consumer of [
      once,
      await bus.jetstream.consumers.get("DEAD_LETTERS", "of-today"),
      await bus.jetstream.consumers.get("DEAD_LETTERS", "of-old"),
    ]) {
      const message = await consumer.next({ expires: WAIT_MS });
      expect(message?.subject).toBe("dead.nowhere.nothing");
      message?.ack();
    }
    for (const name of ["of-today", "of-old"]) await bus.manager.consumers.delete("DEAD_LETTERS", name);
  });
});

describe("a plant gateway", () => {
  it("publishes its readings, sees their acknowledgements, and is refused everything else", async () => {
    await using bus = await as("north", NORTH.password);
    expect((await bus.jetstream.publish("readings.north.boiler", '{"value": 1}')).stream).toBe("READINGS");
    const tried = {
      publish: [
        ...Object.entries(SAYS).flatMap(([, says]) => says),
        ...FOR_NO_SERVICE.publish,
        ...SOUTHERN.flatMap(({ id, key }) => [`readings.south.${id}`, `readings.south.${key}`]).filter(
          (subject, index, all) => all.indexOf(subject) === index && subject !== "readings.south.boiler",
        ),
        "$JS.API.STREAM.INFO.READINGS",
        "$JS.API.CONSUMER.CREATE.READINGS.mine",
        "$JS.API.DIRECT.GET.READINGS",
        "$JS.API.INFO",
        "$JS.FC.READINGS.x",
      ],
      subscribe: [">", "readings.north.>", "corrected.>", "events.>", "_INBOX_plant.>", "$JS.>"],
    };
    expect(await refused(bus, tried)).toEqual(named(tried));
  });

  it("cannot have an acknowledgement sent where it would count as another site's reading", async () => {
    await using bus = await as("north", NORTH.password);
    const before = await southernRows();
    for (const { key, id } of SOUTHERN)
      for (const name of [key, String(id)])
        bus.connection.publish("readings.north.boiler", '{"value": 2, "timestamp": "2026-01-02T00:00:00Z"}', {
          reply: `readings.south.${name}`,
        });
    await bus.connection.flush();
    // Of its own site it names sensors that are there only on the other.
    for (const { key } of SOUTHERN)
      await bus.jetstream.publish(`readings.north.${key}`, '{"value": 3, "timestamp": "2026-01-03T00:00:00Z"}');
    const lastOf = async () =>
      (await plant.rows("select 1 from readings where sensor_id = 11 and raw_value = 3")).length;
    await expect.poll(lastOf, { timeout: WAIT_MS }).toBe(1);
    await expect
      .poll(async () => (await plant.rows("select 1 from dead_letters where site = 'north' and key = '22'")).length, {
        timeout: WAIT_MS,
      })
      .toBe(1);
    expect(await southernRows()).toEqual(before);
    expect(await plant.rows("select 1 from dead_letters where site = 'south'")).toEqual([]);
  });

  it("without a user, or with a wrong password, is not let in", async () => {
    await expect(as("nobody", "nothing").then((bus) => bus[Symbol.asyncDispose]())).rejects.toThrow(/Authorization/i);
    await expect(as("north", "a guess").then((bus) => bus[Symbol.asyncDispose]())).rejects.toThrow(/Authorization/i);
  });
});
