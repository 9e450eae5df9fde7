/**
 * Every metric of the platform, in one place, named by Prometheus's conventions. The alerts and the dashboard in
 * `deploy/observability/` rest on these names; a journey scrapes a running plant and holds the two together.
 *
 * Each has the label `service`. Counters count from the start of the process, as Prometheus expects; what REST tells of
 * all time stands in PostgreSQL.
 */
import { statfs } from "node:fs/promises";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { ANOMALY_TYPES, SEVERITIES } from "./anomaly.ts";
import { FALLBACK_REASONS, MODEL_TYPES } from "./model.ts";
import { DEAD_REASONS } from "./reading.ts";
import { SENSOR_STATUSES, type SensorStatus } from "./sensor.ts";

/** The defaults of prom-client too: memory, processor, event loop, garbage. */
export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Whether the service can work, and how much room its disk has. */
export function createHealthMetrics(registry: Registry, troubles: ReadonlyMap<string, string>): void {
  const registers = [registry];
  gauge("calibration_ready", "1 while nothing is wrong, as /readyz answers", registers, (set) =>
    set({}, troubles.size === 0 ? 1 : 0),
  );
  // In a container this is the disk that the engine keeps its volumes on, unless they were put elsewhere.
  const disk = async (of: "bavail" | "blocks"): Promise<number> => {
    const system = await statfs(process.cwd());
    return system[of] * system.bsize;
  };
  gauge("calibration_disk_free_bytes", "Room on the disk the service runs on", registers, async (set) =>
    set({}, await disk("bavail")),
  );
  gauge("calibration_disk_size_bytes", "Size of the disk the service runs on", registers, async (set) =>
    set({}, await disk("blocks")),
  );
}

const EPISODE_LABELS = { type: [...ANOMALY_TYPES, "undecided"], severity: SEVERITIES } as const;

/** What a batch may come to: the counter, which service counts it, and its labels with the values known beforehand. */
const COUNTED = {
  received: {
    name: "calibration_readings_received_total",
    help: "Readings that were published, usable or not: kept + repeated + dead-lettered",
    by: ["ingest"],
    labels: {},
  },
  kept: { name: "calibration_readings_kept_total", help: "Readings kept", by: ["ingest"], labels: {} },
  repeated: {
    name: "calibration_readings_repeated_total",
    help: "Readings that were kept before",
    by: ["ingest"],
    labels: {},
  },
  dead: {
    name: "calibration_readings_dead_lettered_total",
    help: "Readings that could not be used, by reason",
    by: ["ingest", "anomaly", "drift", "calibration"],
    labels: { reason: DEAD_REASONS },
  },
  judged: {
    name: "calibration_judgements_total",
    help: "Readings judged, by the method that judged them; the first few of a sensor by none",
    by: ["anomaly"],
    labels: { method: ["isolation_forest", "threshold", "none"] },
  },
  anomaly: {
    name: "calibration_anomaly_events_total",
    help: "Episodes that were opened, changed or resolved, by type and severity",
    by: ["anomaly"],
    labels: { event: ["opened", "updated", "resolved"], ...EPISODE_LABELS },
  },
  predicted: {
    name: "calibration_drift_predictions_total",
    help: "Drift predictions kept, by method",
    by: ["drift"],
    labels: { method: ["linear_regression", "blend", "trend"] },
  },
  corrected: {
    name: "calibration_corrections_total",
    help: "Readings corrected, by method; repeats are corrected again",
    by: ["calibration"],
    labels: {
      method: ["linear_regression", "robust_linear", "polynomial", "custom", "latest_calibration", "identity"],
    },
  },
  fallback: {
    name: "calibration_fallbacks_total",
    help: "Answers that a simple rule gave because no model could, by reason",
    by: ["anomaly", "drift", "calibration"],
    labels: { reason: FALLBACK_REASONS },
  },
} as const satisfies Record<
  string,
  { name: string; help: string; by: readonly string[]; labels: Record<string, readonly string[]> }
>;

export type CountedKind = keyof typeof COUNTED;

/** What a batch came to: how many, by kind and label values, `kind/value/value`. It is kept with the position. */
export type Counts = Record<string, number>;

/** Adds to a batch's counts. The values are those of the kind's labels, in their order. */
export function count(counts: Counts, kind: CountedKind, values: readonly string[] = [], times = 1): void {
  const key = countKey(kind, ...values);
  counts[key] = (counts[key] ?? 0) + times;
}

export const countKey = (kind: CountedKind, ...values: readonly string[]): string => [kind, ...values].join("/");

/** What every service that hears the log measures. */
export function createStreamMetrics(registry: Registry, service: string) {
  const registers = [registry];
  const counters = createCounters(registers, service);
  const batches = counter("calibration_batches_total", "Batches kept", registers);
  const messages = counter("calibration_messages_total", "Messages of the log taken in", registers);
  const batchSeconds = new Histogram({
    name: "calibration_batch_duration_seconds",
    help: "From a batch's last message to its commit",
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  const batchMessages = new Histogram({
    name: "calibration_batch_messages",
    help: "Messages in a batch",
    buckets: [1, 3, 10, 30, 100, 300, 1000],
    registers,
  });
  const lagMessages = new Gauge({
    name: "calibration_partition_lag_messages",
    help: "Messages of the partition that were not kept when it was last heard of",
    labelNames: ["partition"],
    registers,
  });
  /** By partition: when the last message that is kept was stored. */
  const keptUntilMs = new Map<number, number>();
  // Every partition hears a tick each ten seconds, so that an idle one is never further behind than that. Told from the
  // clock at each scrape, the figure also grows while PostgreSQL or NATS is away and nothing else can be measured.
  const lagSeconds = gauge(
    "calibration_partition_lag_seconds",
    "Age of the newest message of the partition that is kept",
    registers,
    (set) => {
      for (const [partition, ms] of keptUntilMs) set({ partition: String(partition) }, (Date.now() - ms) / 1000);
    },
    ["partition"],
  );
  const expired = counter(
    "calibration_positions_expired_total",
    "Take-overs that found the log's oldest message younger than the position: readings may have been missed",
    registers,
  );
  return {
    owned(partition: number): void {
      keptUntilMs.set(partition, Date.now());
    },
    /** A partition that this replica gave up is another's to tell of. */
    released(partition: number): void {
      keptUntilMs.delete(partition);
      lagMessages.remove({ partition: String(partition) });
      lagSeconds.remove({ partition: String(partition) });
    },
    waiting(partition: number, waiting: number): void {
      lagMessages.set({ partition: String(partition) }, waiting);
    },
    kept(batch: { partition: number; messages: number; seconds: number; storedMs: number; counts: Counts }): void {
      batches.inc();
      messages.inc(batch.messages);
      batchMessages.observe(batch.messages);
      batchSeconds.observe(batch.seconds);
      keptUntilMs.set(batch.partition, batch.storedMs);
      for (const [key, times] of Object.entries(batch.counts)) counters(key, times);
    },
    expired: () => expired.inc(),
  };
}

export type StreamMetrics = ReturnType<typeof createStreamMetrics>;

function createCounters(registers: Registry[], service: string): (key: string, times: number) => void {
  const counters = new Map<string, { counter: Counter; names: string[] }>();
  for (const [kind, { name, help, by, labels }] of Object.entries(COUNTED)) {
    if (!(by as readonly string[]).includes(service)) continue;
    const names = Object.keys(labels);
    const made = new Counter({ name, help, labelNames: names, registers });
    // A series that begins with its first event hides that event from `rate()`.
    for (const known of combinations(labels)) made.inc(known, 0);
    counters.set(kind, { counter: made, names });
  }
  return (key, times) => {
    const [kind = "", ...values] = key.split("/");
    const counted = counters.get(kind);
    if (counted === undefined) throw new Error(`${service} counts ${kind}, which metrics.ts does not say of it`);
    counted.counter.inc(Object.fromEntries(counted.names.map((name, n) => [name, values[n] ?? "unknown"])), times);
  };
}

function combinations(labels: Record<string, readonly string[]>): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (found, [name, values]) => found.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

/** The decoded models that a replica holds. */
export function createModelCacheMetrics(registry: Registry, held: { models(): number; bytes(): number }) {
  const registers = [registry];
  gauge("calibration_model_cache_models", "Models in the cache", registers, (set) => set({}, held.models()));
  gauge("calibration_model_cache_bytes", "What they hold in memory, about", registers, (set) => set({}, held.bytes()));
  const lookups = new Counter({
    name: "calibration_model_cache_lookups_total",
    help: "Models asked for, one a batch and model, by whether they were in the cache",
    labelNames: ["result"] as const,
    registers,
  });
  const refused = new Counter({
    name: "calibration_models_refused_total",
    help: "Models that could not be used, by reason",
    labelNames: ["reason"] as const,
    registers,
  });
  for (const result of ["hit", "miss"] as const) lookups.inc({ result }, 0);
  for (const reason of ["model_damaged", "model_incompatible"] as const) refused.inc({ reason }, 0);
  return { lookups, refused };
}

/** The trainer's: what was asked for and what came of it, and what should have been trained long ago. */
export function createTrainingMetrics(registry: Registry) {
  const registers = [registry];
  const runs = new Counter({
    name: "calibration_training_runs_total",
    help: "Requests for training, by outcome",
    labelNames: ["model_type", "outcome"] as const,
    registers,
  });
  for (const type of MODEL_TYPES)
    for (const outcome of ["trained", "insufficient_data", "failed"]) runs.inc({ model_type: type, outcome }, 0);
  return {
    runs,
    duration: new Histogram({
      name: "calibration_training_duration_seconds",
      help: "How long one training took",
      labelNames: ["model_type"] as const,
      buckets: [0.05, 0.2, 1, 5, 20, 60],
      registers,
    }),
    overdue: new Gauge({
      name: "calibration_models_overdue",
      help: "Models in force that are older than a model may be, and a day more",
      labelNames: ["model_type"] as const,
      registers,
    }),
    queued: gauge("calibration_training_queued", "Requests for training that are not answered", registers),
  };
}

/** The gateway's answers. */
export function createHttpMetrics(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Counter({
      name: "calibration_http_requests_total",
      help: "Requests answered",
      labelNames: ["method", "route", "status"] as const,
      registers,
    }),
    duration: new Histogram({
      name: "calibration_http_request_duration_seconds",
      help: "Time to answer, without event streams",
      labelNames: ["method", "route"] as const,
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    }),
  };
}

/** The plant as a whole, told by each gateway alike: take the maximum over them. */
export function createPlantMetrics(registry: Registry) {
  const registers = [registry];
  const sensors = new Gauge({
    name: "calibration_sensors",
    help: "Sensors by status",
    labelNames: ["status"] as const,
    registers,
  });
  const openAnomalies = new Gauge({
    name: "calibration_open_anomalies",
    help: "Episodes that are not resolved",
    labelNames: ["type", "severity", "alarm"] as const,
    registers,
  });
  return {
    sensors(statuses: readonly SensorStatus[]): void {
      for (const status of SENSOR_STATUSES) sensors.set({ status }, statuses.filter((one) => one === status).length);
    },
    openAnomalies(groups: readonly { type: string; severity: string; alarm: string; count: number }[]): void {
      for (const none of combinations({ ...EPISODE_LABELS, alarm: ["true", "false"] })) openAnomalies.set(none, 0);
      for (const { count: open, ...labels } of groups) openAnomalies.set(labels, open);
    },
    streamBytes: new Gauge({
      name: "calibration_stream_bytes",
      help: "Size of a stream",
      labelNames: ["stream"] as const,
      registers,
    }),
    streamLimitBytes: new Gauge({
      name: "calibration_stream_limit_bytes",
      help: "The size at which READINGS refuses and the other streams forget their oldest",
      labelNames: ["stream"] as const,
      registers,
    }),
    databaseBytes: gauge("calibration_database_bytes", "Size of the database", registers),
  };
}

function counter(name: string, help: string, registers: Registry[]): Counter {
  return new Counter({ name, help, registers });
}

type Set = (labels: Record<string, string>, value: number) => void;

/** A gauge; with `collect`, one that is measured when it is asked for. */
function gauge(
  name: string,
  help: string,
  registers: Registry[],
  collect?: (set: Set) => void | Promise<void>,
  labelNames: string[] = [],
): Gauge {
  const made: Gauge = new Gauge({
    name,
    help,
    labelNames,
    registers,
    ...(collect === undefined ? {} : { collect: () => collect((labels, value) => made.set(labels, value)) }),
  });
  return made;
}
