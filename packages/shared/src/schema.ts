/**
 * Every table of the platform, with the one service that writes it. Reading another's table is fine (REST joins them);
 * writing it is not: two writers of one row mean lock waits and deadlocks. The roles in PostgreSQL
 * (`packages/servers/src/database-roles.ts`) hold them to it.
 *
 * `readings` and `corrected_readings` are range-partitioned by month, which Drizzle cannot say: their migration is
 * written by hand. Rows that stream services write carry no foreign keys, for each would be checked at every insert.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";

const bytes = customType<{ data: Uint8Array; driverData: Buffer }>({
  dataType: () => "bytea",
  toDriver: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
});

const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: "date" });
const serial64 = (name: string) => bigint(name, { mode: "number" }).generatedAlwaysAsIdentity();

// ——— the gateway's ———

/** The sensor as it is now. What it was at an earlier instant stands in `sensor_versions`. */
export const sensors = pgTable(
  "sensors",
  {
    id: integer("id").primaryKey().generatedByDefaultAsIdentity({ startWith: 1000 }),
    key: text("key").notNull(),
    site: text("site").notNull(),
    name: text("name").notNull(),
    type: text("type").notNull(),
    unit: text("unit").notNull(),
    rangeMin: doublePrecision("range_min"),
    rangeMax: doublePrecision("range_max"),
    expectedIntervalS: doublePrecision("expected_interval_s"),
    baseline: doublePrecision("baseline"),
    settings: jsonb("settings").notNull(),
    createdAt: instant("created_at").notNull().defaultNow(),
  },
  (table) => [unique("sensors_site_key").on(table.site, table.key)],
);

/**
 * What was said of a sensor, each from its `valid_from` on. Services compare it with the instant NATS stored a message,
 * so that the same message meets the same settings whenever it is read.
 */
export const sensorVersions = pgTable(
  "sensor_versions",
  {
    sensorId: integer("sensor_id").notNull(),
    validFrom: instant("valid_from").notNull(),
    site: text("site").notNull(),
    key: text("key").notNull(),
    body: jsonb("body").notNull(),
    deleted: boolean("deleted").notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.sensorId, table.validFrom] }),
    index("sensor_versions_valid_from").on(table.validFrom),
    index("sensor_versions_site_key").on(table.site, table.key),
  ],
);

/** What a new sensor of the site begins with. */
export const siteBudgets = pgTable("site_budgets", {
  site: text("site").primaryKey(),
  falseAlarmsPerMonth: doublePrecision("false_alarms_per_month").notNull(),
});

/** `raw_value` is not stored: it is the mean of the readings before `applied_at`, and a back-fill may still bring them. */
export const calibrations = pgTable(
  "calibrations",
  {
    id: serial64("id").primaryKey(),
    sensorId: integer("sensor_id").notNull(),
    method: text("method").notNull(),
    params: jsonb("params"),
    correctedValue: doublePrecision("corrected_value").notNull(),
    appliedAt: instant("applied_at").notNull(),
    validFrom: instant("valid_from").notNull(),
  },
  (table) => [
    index("calibrations_sensor").on(table.sensorId, table.appliedAt),
    index("calibrations_valid_from").on(table.validFrom),
  ],
);

export const tokens = pgTable("tokens", {
  id: serial64("id").primaryKey(),
  name: text("name").notNull(),
  role: text("role").notNull(),
  sites: text("sites").array(),
  sha256: text("sha256").notNull().unique(),
  createdAt: instant("created_at").notNull().defaultNow(),
  expiresAt: instant("expires_at"),
  lastUsedAt: instant("last_used_at"),
  revokedAt: instant("revoked_at"),
});

/** A browser's session, and the one-time code that may begin one: both only as hashes. */
export const sessions = pgTable("sessions", {
  sha256: text("sha256").primaryKey(),
  kind: text("kind").notNull(),
  tokenId: bigint("token_id", { mode: "number" }).notNull(),
  createdAt: instant("created_at").notNull().defaultNow(),
  expiresAt: instant("expires_at").notNull(),
});

export const auditLog = pgTable("audit_log", {
  id: serial64("id").primaryKey(),
  at: instant("at").notNull().defaultNow(),
  tokenId: bigint("token_id", { mode: "number" }),
  tokenName: text("token_name"),
  method: text("method").notNull(),
  path: text("path").notNull(),
  status: integer("status").notNull(),
  detail: jsonb("detail"),
});

/** One request to train; its parts are the `training_runs` with its id. */
export const trainingJobs = pgTable("training_jobs", {
  id: uuid("id").primaryKey(),
  trigger: text("trigger").notNull(),
  total: integer("total").notNull(),
  /** The sites it touches, for tokens that are fenced; null: all there are. */
  sites: text("sites").array(),
  createdAt: instant("created_at").notNull().defaultNow(),
});

// ——— ingest's ———

export const readings = pgTable(
  "readings",
  {
    sensorId: integer("sensor_id").notNull(),
    timestamp: instant("timestamp").notNull(),
    rawValue: doublePrecision("raw_value").notNull(),
    /** 0 good, 1 uncertain, 2 bad. */
    quality: smallint("quality").notNull(),
    streamSequence: bigint("stream_sequence", { mode: "number" }).notNull(),
    receivedAt: instant("received_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.sensorId, table.timestamp] })],
);

const rollup = (name: string) =>
  pgTable(
    name,
    {
      sensorId: integer("sensor_id").notNull(),
      bucket: instant("bucket").notNull(),
      min: doublePrecision("min").notNull(),
      max: doublePrecision("max").notNull(),
      /** Exact decimal arithmetic: the sum may not depend on where a batch began. */
      sum: numeric("sum").notNull(),
      count: integer("count").notNull(),
    },
    (table) => [primaryKey({ columns: [table.sensorId, table.bucket] })],
  );

export const readingsPerMinute = rollup("readings_per_minute");
export const readingsPerHour = rollup("readings_per_hour");

export const sensorLatest = pgTable("sensor_latest", {
  sensorId: integer("sensor_id").primaryKey(),
  timestamp: instant("timestamp").notNull(),
  /** Null while all readings so far were bad: those count as presence only. */
  rawValue: doublePrecision("raw_value"),
  /** When `raw_value` was measured; `timestamp` is the newest reading's of any quality. */
  valueAt: instant("value_at"),
  receivedAt: instant("received_at").notNull(),
  readings: bigint("readings", { mode: "number" }).notNull(),
});

export const deadLetters = pgTable(
  "dead_letters",
  {
    id: serial64("id").primaryKey(),
    subject: text("subject").notNull(),
    site: text("site"),
    key: text("key"),
    reason: text("reason").notNull(),
    detail: text("detail").notNull(),
    payload: bytes("payload").notNull(),
    streamSequence: bigint("stream_sequence", { mode: "number" }).notNull(),
    /** The element's place in an array; -1 for a whole message. */
    elementIndex: integer("element_index").notNull(),
    streamCreated: text("stream_created").notNull(),
    receivedAt: instant("received_at").notNull(),
    replayedAt: instant("replayed_at"),
  },
  (table) => [
    unique("dead_letters_origin").on(table.streamCreated, table.streamSequence, table.elementIndex),
    index("dead_letters_reason").on(table.reason, table.id),
    index("dead_letters_site_key").on(table.site, table.key),
  ],
);

// ——— anomaly's ———

export const anomalies = pgTable(
  "anomalies",
  {
    id: serial64("id").primaryKey(),
    sensorId: integer("sensor_id").notNull(),
    type: text("type"),
    value: doublePrecision("value"),
    expected: doublePrecision("expected"),
    deviation: doublePrecision("deviation"),
    severity: text("severity").notNull(),
    resolved: boolean("resolved").notNull().default(false),
    resolvedBy: text("resolved_by"),
    resolvedAt: instant("resolved_at"),
    timestamp: instant("timestamp").notNull(),
    lastSeen: instant("last_seen").notNull(),
    count: integer("count").notNull(),
    score: doublePrecision("score"),
    method: text("method").notNull(),
    modelVersion: integer("model_version"),
    alarm: boolean("alarm").notNull(),
    explanation: jsonb("explanation").notNull(),
    note: text("note"),
  },
  (table) => [
    unique("anomalies_natural").on(table.sensorId, table.timestamp),
    index("anomalies_open")
      .on(table.sensorId)
      .where(sql`not resolved`),
    // Few of all anomalies are alarms; how many a sensor raised of late is asked with every look at it.
    index("anomalies_alarms")
      .on(table.sensorId, table.timestamp)
      .where(sql`alarm`),
    index("anomalies_recent").on(table.timestamp, table.id),
  ],
);

export const sensorStatus = pgTable("sensor_status", {
  sensorId: integer("sensor_id").primaryKey(),
  learning: jsonb("learning").notNull(),
  learntIntervalS: doublePrecision("learnt_interval_s"),
  /** What each threshold would have raised on it so far, and in how many days: with the budget, that is its threshold. */
  alarmsSeen: jsonb("alarms_seen"),
});

/** The small state of a sensor, written with every batch: the newest reading, the open episode, who was told what. */
export const anomalyState = pgTable(
  "anomaly_state",
  {
    sensorId: integer("sensor_id").primaryKey(),
    partition: integer("partition").notNull(),
    body: jsonb("body").notNull(),
    /** When a tick should look for a gap, or grade one again; null: nothing is awaited. */
    gapDueAt: instant("gap_due_at"),
  },
  (table) => [index("anomaly_state_gap").on(table.partition, table.gapDueAt)],
);

/** The large state of a sensor, a fold of the log up to `position`; the rest is read again at a take-over. */
export const noveltySnapshots = pgTable(
  "novelty_snapshots",
  {
    sensorId: integer("sensor_id").primaryKey(),
    partition: integer("partition").notNull(),
    position: bigint("position", { mode: "number" }).notNull(),
    body: bytes("body").notNull(),
  },
  (table) => [index("novelty_snapshots_partition").on(table.partition)],
);

// ——— drift's ———

export const sensorDrift = pgTable("sensor_drift", {
  sensorId: integer("sensor_id").primaryKey(),
  partition: integer("partition").notNull(),
  /** Percent of the baseline; null below ten readings. */
  drift: doublePrecision("drift"),
  baseline: doublePrecision("baseline"),
  span: doublePrecision("span"),
  level: doublePrecision("level").notNull(),
  timestamp: instant("timestamp").notNull(),
  body: jsonb("body").notNull(),
});

/** Means of good readings that came in order, an hour of event time a row. */
export const hourlyMeans = pgTable(
  "hourly_means",
  {
    sensorId: integer("sensor_id").notNull(),
    hour: instant("hour").notNull(),
    mean: doublePrecision("mean").notNull(),
    count: integer("count").notNull(),
  },
  (table) => [primaryKey({ columns: [table.sensorId, table.hour] })],
);

export const driftPredictions = pgTable(
  "drift_predictions",
  {
    id: serial64("id").primaryKey(),
    sensorId: integer("sensor_id").notNull(),
    timestamp: instant("timestamp").notNull(),
    method: text("method").notNull(),
    modelVersion: integer("model_version"),
    fallbackReason: text("fallback_reason"),
    baseline: doublePrecision("baseline").notNull(),
    currentDrift: doublePrecision("current_drift").notNull(),
    predictions: jsonb("predictions").notNull(),
  },
  (table) => [unique("drift_predictions_natural").on(table.sensorId, table.timestamp)],
);

// ——— calibration's ———

export const correctedReadings = pgTable(
  "corrected_readings",
  {
    sensorId: integer("sensor_id").notNull(),
    timestamp: instant("timestamp").notNull(),
    rawValue: doublePrecision("raw_value").notNull(),
    correctedValue: doublePrecision("corrected_value").notNull(),
    method: text("method").notNull(),
    modelVersion: integer("model_version"),
    /** By a model, beyond what it was calibrated on. */
    extrapolated: boolean("extrapolated").notNull().default(false),
  },
  (table) => [primaryKey({ columns: [table.sensorId, table.timestamp] })],
);

/** Of the corrected values. Finer charts are of days, and read the values themselves. */
export const correctedPerHour = rollup("corrected_per_hour");

/** Bad readings are not corrected but stand: up to here a reading may be a repeat of one, so it is looked up. */
export const correctionState = pgTable("correction_state", {
  sensorId: integer("sensor_id").primaryKey(),
  newestBad: instant("newest_bad").notNull(),
});

// ——— trainer's ———

export const modelArtifacts = pgTable(
  "model_artifacts",
  {
    id: serial64("id").primaryKey(),
    modelName: text("model_name").notNull(),
    modelType: text("model_type").notNull(),
    sensorId: integer("sensor_id").notNull(),
    version: integer("version").notNull(),
    current: boolean("current").notNull(),
    algorithm: text("algorithm").notNull(),
    params: jsonb("params").notNull(),
    features: jsonb("features").notNull(),
    samples: integer("samples").notNull(),
    metrics: jsonb("metrics").notNull(),
    trainedAt: instant("trained_at").notNull(),
    trigger: text("trigger").notNull(),
    dueBecause: text("due_because"),
    trainingFrom: instant("training_from"),
    trainingTo: instant("training_to"),
    sizeBytes: integer("size_bytes").notNull(),
    sha256: text("sha256").notNull(),
    artifact: bytes("artifact").notNull(),
  },
  (table) => [
    unique("model_artifacts_version").on(table.sensorId, table.modelType, table.version),
    uniqueIndex("model_artifacts_current")
      .on(table.sensorId, table.modelType)
      .where(sql`current`),
  ],
);

/** Which version was in force from when on, so that a message meets the same model whenever it is read. */
export const modelPromotions = pgTable(
  "model_promotions",
  {
    sensorId: integer("sensor_id").notNull(),
    modelType: text("model_type").notNull(),
    validFrom: instant("valid_from").notNull(),
    modelId: bigint("model_id", { mode: "number" }).notNull(),
    version: integer("version").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.sensorId, table.modelType, table.validFrom] }),
    index("model_promotions_valid_from").on(table.validFrom),
  ],
);

export const trainingRuns = pgTable(
  "training_runs",
  {
    id: serial64("id").primaryKey(),
    jobId: uuid("job_id"),
    sensorId: integer("sensor_id").notNull(),
    modelType: text("model_type").notNull(),
    trigger: text("trigger").notNull(),
    dueBecause: text("due_because"),
    /** trained · insufficient_data · failed */
    status: text("status").notNull(),
    error: text("error"),
    required: integer("required"),
    available: integer("available"),
    modelId: bigint("model_id", { mode: "number" }),
    startedAt: instant("started_at").notNull(),
    finishedAt: instant("finished_at").notNull(),
  },
  (table) => [
    unique("training_runs_job").on(table.jobId, table.sensorId, table.modelType),
    index("training_runs_recent").on(table.finishedAt),
  ],
);

// ——— each stream service's own rows ———

/** Where a service stands in a partition, written with what it kept. `told` follows `kept` once the events are out. */
export const streamPositions = pgTable(
  "stream_positions",
  {
    service: text("service").notNull(),
    partition: integer("partition").notNull(),
    streamCreated: text("stream_created").notNull(),
    kept: bigint("kept", { mode: "number" }).notNull(),
    told: bigint("told", { mode: "number" }).notNull(),
    /** The position the large state was last written at. */
    snapshot: bigint("snapshot", { mode: "number" }).notNull(),
    /** How often the batch after `kept` was begun and not finished. */
    attempts: integer("attempts").notNull(),
    /** What the batches came to, counted since the beginning. */
    counters: jsonb("counters").notNull(),
    /** What the last batch has to say; repeated by the next owner unless `told` has followed. */
    untold: jsonb("untold").notNull(),
  },
  (table) => [primaryKey({ columns: [table.service, table.partition] })],
);
