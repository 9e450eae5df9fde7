/** Every table of two databases, row by row under its natural key, and everything that was told. */
import type { Bus } from "@calibration/shared/bus.ts";
import { streams } from "@calibration/shared/topology.ts";
import type { Arena } from "./arena.ts";

interface Table {
  name: string;
  key: readonly string[];
  /** Left out of the comparison, each with its reason. */
  without?: Readonly<Record<string, string>>;
}

const SERIAL = "a serial number: what is tried and rolled back takes numbers too";

/** The tables the stream services keep. Both runs read the same log, so sequences and the times of storing must agree too. */
const TABLES: readonly Table[] = [
  { name: "readings", key: ["sensor_id", "timestamp"] },
  { name: "readings_per_minute", key: ["sensor_id", "bucket"] },
  { name: "readings_per_hour", key: ["sensor_id", "bucket"] },
  { name: "sensor_latest", key: ["sensor_id"] },
  { name: "dead_letters", key: ["stream_created", "stream_sequence", "element_index"], without: { id: SERIAL } },
  { name: "corrected_readings", key: ["sensor_id", "timestamp"] },
  { name: "corrected_per_hour", key: ["sensor_id", "bucket"] },
  { name: "correction_state", key: ["sensor_id"] },
  { name: "anomalies", key: ["sensor_id", "timestamp"], without: { id: SERIAL } },
  { name: "anomaly_state", key: ["sensor_id"] },
  { name: "sensor_status", key: ["sensor_id"] },
  { name: "sensor_drift", key: ["sensor_id"] },
  { name: "hourly_means", key: ["sensor_id", "hour"] },
  { name: "drift_predictions", key: ["sensor_id", "timestamp"], without: { id: SERIAL } },
  {
    name: "stream_positions",
    key: ["service", "partition"],
    without: {
      snapshot: "the large state is written when a minute has passed, by the clock",
      told: "follows `kept` when a service stops or goes on",
      untold: "what the last batch said: batches begin and end elsewhere",
      attempts: "how often the last batch was begun",
    },
  },
];

/** What is not compared, each with its reason. */
const NOT_COMPARED: Readonly<Record<string, string>> = {
  novelty_snapshots: "no result but a shortcut to one, written when a minute has passed",
  sensors: "the test's own",
  sensor_versions: "the test's own",
  calibrations: "the test's own",
  site_budgets: "nobody sets one",
  tokens: "of the gateway, which works in one of the runs only",
  sessions: "of the gateway",
  audit_log: "of the gateway: a request that was repeated stands twice",
  training_jobs: "of the trainer, which works in one of the runs only; each is answered once",
  training_runs: "of the trainer",
  model_artifacts: "training is of sensors that have no readings: there are none",
  model_promotions: "there are none",
};

/** A table that somebody adds is compared, or has its reason why not. */
export async function tablesForgotten(arena: Arena): Promise<string[]> {
  const tables = await arena.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
  );
  const known = new Set([...TABLES.map(({ name }) => name), ...Object.keys(NOT_COMPARED)]);
  return tables.map(({ name }) => name).filter((name) => !known.has(name));
}

export interface Difference {
  where: string;
  key: string;
  undisturbed: string | null;
  disturbed: string | null;
}

/** Rows of one run that are not in the other, or not the same. */
export async function compareTables(undisturbed: Arena, disturbed: Arena): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const table of TABLES) {
    const [expected, found] = await Promise.all([rowsOf(undisturbed, table), rowsOf(disturbed, table)]);
    differences.push(...compareMaps(table.name, expected, found));
  }
  return differences;
}

export function compareMaps(
  where: string,
  undisturbed: ReadonlyMap<string, string>,
  disturbed: ReadonlyMap<string, string>,
): Difference[] {
  return [...new Set([...undisturbed.keys(), ...disturbed.keys()])]
    .filter((key) => undisturbed.get(key) !== disturbed.get(key))
    .map((key) => ({
      where,
      key,
      undisturbed: undisturbed.get(key) ?? null,
      disturbed: disturbed.get(key) ?? null,
    }));
}

/** jsonb prints its fields in an order of its own, so that text is enough to compare by. */
async function rowsOf(arena: Arena, { name, key, without = {} }: Table): Promise<Map<string, string>> {
  const found = await arena.query<{ key: string; row: string }>(
    `select concat_ws(' ', ${key.map((column) => `"${column}"`).join(", ")}) as key, (to_jsonb(t) - $1::text[])::text as row from "${name}" t`,
    [Object.keys(without)],
  );
  return new Map(found.map((row) => [row.key, row.row]));
}

/** What is told again comes from jsonb, which keeps its fields in an order of its own: the order says nothing. */
const inOrder = (field: string, value: unknown): unknown =>
  field === "id"
    ? undefined
    : typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value;

/** Of one subject two services tell these, each when it has tried long enough: which comes first says nothing. */
const GIVEN_UP = /^dead-.*--[2-9]$/;

export interface Told {
  /** By id: subject and body. */
  byId: Map<string, string>;
  /** Ids that were told with two different bodies. */
  contradicted: string[];
  /** The ids of each subject, in the order they were first told. */
  order: Map<string, string>;
}

/** What the streams of results hold. The ids of rows are serial numbers, so they are left out of the bodies. */
export async function readTold(bus: Bus): Promise<Told> {
  const byId = new Map<string, string>();
  const contradicted: string[] = [];
  const ids = new Map<string, string[]>();
  for (const { name } of [streams.corrected, streams.events, streams.deadLetters]) {
    await readStream(bus, name, (subject, id, body) => {
      // Sensors and models are told by others than the stream services.
      if (subject.startsWith("events.sensor.") || subject.startsWith("events.model.")) return;
      const text = `${subject} ${JSON.stringify(body, inOrder)}`;
      const before = byId.get(id);
      if (before === undefined) {
        byId.set(id, text);
        if (!GIVEN_UP.test(id)) ids.set(subject, [...(ids.get(subject) ?? []), id]);
      } else if (before !== text) contradicted.push(id);
    });
  }
  return { byId, contradicted, order: new Map([...ids].map(([subject, told]) => [subject, told.join(" ")])) };
}

async function readStream(
  bus: Bus,
  name: string,
  take: (subject: string, id: string, body: unknown) => void,
): Promise<void> {
  const { state } = await bus.manager.streams.info(name);
  if (state.messages === 0) return;
  const consumer = await bus.jetstream.consumers.get(name, {});
  const messages = await consumer.consume();
  for await (const message of messages) {
    take(message.subject, message.headers?.get("Nats-Msg-Id") ?? "", message.json());
    if (message.seq >= state.last_seq) break;
  }
  await messages.close();
  await consumer.delete();
}

/** How many readings the log claims to hold: what was published, repeats of the publisher included. */
export async function countPublished(bus: Bus): Promise<number> {
  const { state } = await bus.manager.streams.info(streams.readings.name);
  const consumer = await bus.jetstream.consumers.get(streams.readings.name, { filter_subjects: "readings.>" });
  const { num_pending: pending } = await consumer.info();
  let published = 0;
  let taken = 0;
  const messages = await consumer.consume();
  for await (const message of messages) {
    let body: unknown = null;
    try {
      body = message.json();
    } catch {
      // What is no JSON counts as one.
    }
    published += Array.isArray(body) ? body.length : 1;
    if (++taken === pending || message.seq >= state.last_seq) break;
  }
  await messages.close();
  await consumer.delete();
  return published;
}
