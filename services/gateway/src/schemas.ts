/** What REST takes and gives: one place for validation, types and OpenAPI. */
import { FEATURES } from "@calibration/models/isolation-forest.ts";
import { ANOMALY_METHODS, ANOMALY_TYPES, SEVERITIES } from "@calibration/shared/anomaly.ts";
import { CALIBRATION_METHODS } from "@calibration/shared/calibration.ts";
import { FALLBACK_REASONS, MODEL_TYPES } from "@calibration/shared/model.ts";
import { DEAD_REASONS, QUALITIES } from "@calibration/shared/reading.ts";
import { SENSOR_STATUSES, SENSOR_TYPES } from "@calibration/shared/sensor.ts";
import { Type, type TSchema } from "typebox";
import { PROBLEM_CODES } from "./problem.ts";

export const oneOf = <T extends string>(values: readonly T[]) => Type.Unsafe<T>({ type: "string", enum: [...values] });
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
/** Checked by our own reader, which takes what plants send: ISO 8601 with an offset, or epoch milliseconds. */
export const Instant = Type.Unsafe<string | number>({
  description: "ISO 8601 with an offset, or epoch milliseconds",
  examples: ["2026-11-23T07:00:00.000Z"],
});
const Finite = Type.Number();
/** PostgreSQL keeps no NUL, and a service that met one in the log could never pass it. */
const Text = (maxLength: number, minLength = 0) => Type.String({ minLength, maxLength, pattern: "^[^\\u0000]*$" });

export const FalseAlarmsPerMonth = Type.Number({ exclusiveMinimum: 0, maximum: 1000 });

export const Settings = Type.Object(
  {
    time_zone: Type.String(),
    features: Type.Array(oneOf(FEATURES), {
      minItems: 1,
      uniqueItems: true,
      description: "what the isolation forest looks at; value is always among it",
    }),
    trees: Type.Integer({ minimum: 1, maximum: 1000 }),
    subsample: Type.Integer({ minimum: 2, maximum: 65_535 }),
    contamination: Type.Number({ exclusiveMinimum: 0, maximum: 0.5 }),
    false_alarms_per_month: FalseAlarmsPerMonth,
    tolerance: nullable(Type.Number({ exclusiveMinimum: 0 })),
    rate_per_minute_max: nullable(Type.Number({ exclusiveMinimum: 0 })),
    drift_levels: Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 1, maxItems: 10 }),
    promotion: oneOf(["automatic", "manual"] as const),
  },
  { additionalProperties: false },
);

const changeable = {
  name: Text(200, 1),
  type: oneOf(SENSOR_TYPES),
  unit: Text(40),
  range_min: nullable(Finite),
  range_max: nullable(Finite),
  expected_interval_s: nullable(Type.Number({ exclusiveMinimum: 0, maximum: 31_536_000 })),
  baseline: nullable(Finite),
  settings: Type.Partial(Settings, { additionalProperties: false }),
};
const { name, type, ...optional } = changeable;
const named = { id: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }), site: Type.String(), key: Type.String() };

export const SensorToCreate = Type.Object(
  { name, type, ...Type.Partial(Type.Object({ ...named, ...optional })).properties },
  { additionalProperties: false, required: ["name", "type"] },
);
export const SensorChange = Type.Partial(Type.Object({ ...named, ...changeable }), { additionalProperties: false });

const learning = {
  stage: Type.String({ description: "watchers, threshold, isolation_forest, novelty (still mute), complete" }),
  readings: Type.Integer(),
  of: Type.Integer(),
};
export const Sensor = Type.Object({
  ...named,
  ...changeable,
  settings: Settings,
  baseline_given: nullable(
    Type.Number({ description: "the baseline that a person has set; null where `baseline` is measured" }),
  ),
  value: nullable(Finite),
  status: oneOf(SENSOR_STATUSES),
  last_updated: nullable(Type.String()),
  drift: nullable(Finite),
  /** "learning: n of N": which of the detectors speak already. */
  learning: nullable(Type.Object(learning)),
  /** What was promised of the novelty detector, and what it did in the last days. */
  false_alarms: Type.Object({
    budget_per_month: Finite,
    threshold: Finite,
    promised_per_month: Finite,
    observed_per_month: nullable(Type.Number({ description: "all its alarms, true ones included: an upper bound" })),
    alarms: Type.Integer(),
    days: Finite,
    own_history_days: Type.Number({
      description:
        "days of its own that the threshold rests on, beside what was measured on a corpus (which weighs 30)",
    }),
  }),
  created_at: Type.String(),
  open_alarms: Type.Integer(),
  open_anomalies: Type.Integer({ description: "alarms and flags" }),
  last_calibrated_at: nullable(Type.String()),
});

/** Names of a sensor's fields, and of one of a field's own: `id,name,settings.tolerance`. */
export const SensorFields = Type.String({
  pattern: "^[a-z_]+(\\.[a-z_]+)?(,[a-z_]+(\\.[a-z_]+)?)*$",
  description: "only these fields, such as `id,name,settings.tolerance`; all of them where it is left out",
});
export const SensorPart = Type.Partial(
  Type.Object({
    ...Sensor.properties,
    learning: nullable(Type.Partial(Type.Object(learning))),
    settings: Type.Partial(Settings),
    false_alarms: Type.Partial(Sensor.properties.false_alarms),
  }),
);
/** The sensors that need somebody most, and how many there are of what was looked for. */
export const Attention = Type.Object({
  count: Type.Integer({ description: "sensors that were looked for" }),
  by_status: Type.Record(Type.String(), Type.Integer(), { description: "of these, whatever status was asked for" }),
  results: Type.Array(Sensor, { description: "those that need somebody most, worst first" }),
});

export const CalibrationToCreate = Type.Object(
  {
    sensor_id: Type.Integer(),
    method: Type.Optional(oneOf(CALIBRATION_METHODS)),
    params: Type.Optional(nullable(Type.Unknown())),
    corrected_value: Finite,
    applied_at: Type.Optional(Instant),
  },
  { additionalProperties: false },
);
export const AnomalyChange = Type.Object(
  { resolved: Type.Optional(Type.Boolean()), note: Type.Optional(nullable(Text(2000))) },
  { additionalProperties: false },
);
export const AnomaliesToResolve = Type.Object(
  {
    ids: Type.Array(Type.Integer(), { minItems: 1, maxItems: 1000, uniqueItems: true }),
    note: Type.Optional(nullable(Text(2000))),
  },
  { additionalProperties: false },
);
export const AnomaliesResolved = Type.Object({
  resolved: Type.Array(Type.Integer()),
  pending: Type.Array(Type.Integer(), { description: "on their way: the anomaly service has not answered yet" }),
});
export const anomalyFilter = {
  sensor_id: Type.Optional(Type.Integer()),
  type: Type.Optional(oneOf(ANOMALY_TYPES)),
  severity: Type.Optional(oneOf(SEVERITIES)),
  method: Type.Optional(oneOf(ANOMALY_METHODS)),
  resolved: Type.Optional(Type.Boolean()),
  alarm: Type.Optional(Type.Boolean()),
  from: Type.Optional(Instant),
  to: Type.Optional(Instant),
};
export const TrainingAsked = Type.Object(
  {
    sensor_id: Type.Union([Type.Integer(), Type.Literal("all")]),
    model_type: Type.Optional(oneOf([...MODEL_TYPES, "all"] as const)),
    trigger: Type.Optional(oneOf(["request", "cli"] as const)),
  },
  { additionalProperties: false },
);
export const DetectionAsked = Type.Object(
  {
    sensor_id: Type.Integer(),
    value: Type.Optional(Finite),
    timestamp: Type.Optional(Instant),
    readings: Type.Optional(
      Type.Array(Type.Object({ value: Finite, timestamp: Instant }), { minItems: 1, maxItems: 10_000 }),
    ),
  },
  { additionalProperties: false },
);
/** Beyond it a number is no id that was ever given, and no number that JavaScript knows exactly. */
const ID_MAX = Number.MAX_SAFE_INTEGER;
export const IdParams = Type.Object({ id: Type.Integer({ minimum: 0, maximum: ID_MAX }) });

/** How a list is answered, page by page. */
export const listOf = <T extends TSchema>(schema: T) =>
  Type.Object({
    count: Type.Integer({ description: "how many there were when the first page was asked for" }),
    next: nullable(Type.String({ description: "the `cursor` of the next page" })),
    results: Type.Array(schema),
  });
const Time = Type.String({ description: "ISO 8601 in UTC, with three fractional digits" });

export const Anomaly = Type.Object({
  id: Type.Integer(),
  sensor_id: Type.Integer(),
  type: nullable(oneOf(ANOMALY_TYPES)),
  value: nullable(Finite),
  expected: nullable(Finite),
  deviation: nullable(Finite),
  severity: oneOf(SEVERITIES),
  resolved: Type.Boolean(),
  resolved_by: nullable(Type.String()),
  resolved_at: nullable(Time),
  timestamp: Time,
  last_seen: Time,
  count: Type.Integer(),
  score: nullable(Finite),
  method: oneOf(ANOMALY_METHODS),
  model_version: nullable(Type.Integer()),
  alarm: Type.Boolean(),
  explanation: Type.Record(Type.String(), Type.Unknown()),
  note: nullable(Type.String()),
});

export const Reading = Type.Object({
  sensor_id: Type.Integer(),
  raw_value: Finite,
  timestamp: Time,
  quality: oneOf(QUALITIES),
  corrected_value: nullable(Finite),
  method: nullable(Type.String({ description: "by which it was corrected; null until it is" })),
  model_version: nullable(Type.Integer({ description: "of the calibration model that corrected it" })),
  extrapolated: nullable(
    Type.Boolean({ description: "beyond what the model was calibrated on: its tangent was followed" }),
  ),
});
export const Bucket = Type.Object({
  timestamp: Time,
  min: Finite,
  max: Finite,
  mean: Finite,
  count: Type.Integer(),
});
export const Sparkline = Type.Object({
  sensor_id: Type.Integer(),
  points: Type.Array(Type.Tuple([Type.Number(), Finite]), {
    description: "the start of each hour, epoch milliseconds, with the hour's mean",
  }),
});
export const ExpectedHour = Type.Object({
  timestamp: Time,
  expected: Finite,
  lower: Finite,
  upper: Finite,
});

export const Calibration = Type.Object({
  id: Type.Integer(),
  sensor_id: Type.Integer(),
  method: oneOf(CALIBRATION_METHODS),
  params: Type.Unknown(),
  raw_value: nullable(Finite),
  corrected_value: Finite,
  applied_at: Time,
});

export const Model = Type.Object({
  id: Type.Integer(),
  model_name: Type.String(),
  model_type: oneOf(MODEL_TYPES),
  sensor_id: Type.Integer(),
  version: Type.Integer(),
  current: Type.Boolean(),
  algorithm: Type.String(),
  params: Type.Record(Type.String(), Type.Unknown()),
  features: Type.Array(Type.String()),
  samples: Type.Integer(),
  metrics: Type.Record(Type.String(), Type.Unknown()),
  trained_at: Time,
  trigger: Type.String(),
  due_because: nullable(Type.String()),
  training_from: nullable(Time),
  training_to: nullable(Time),
  size_bytes: Type.Integer(),
  sha256: Type.String(),
});

/** A version was put in force; it stays so until another one is. */
export const Promotion = Type.Object({
  sensor_id: Type.Integer(),
  model_type: oneOf(MODEL_TYPES),
  model_id: Type.Integer(),
  version: Type.Integer(),
  promoted_at: Time,
});

export const TrainingRun = Type.Object({
  id: Type.Integer(),
  job_id: nullable(Type.String()),
  sensor_id: Type.Integer(),
  model_type: oneOf(MODEL_TYPES),
  trigger: Type.String(),
  due_because: nullable(Type.String()),
  status: oneOf(["trained", "insufficient_data", "failed"] as const),
  error: nullable(Type.String()),
  required: nullable(Type.Integer()),
  available: nullable(Type.Integer()),
  model_id: nullable(Type.Integer()),
  started_at: Time,
  finished_at: Time,
});

export const DeadLetter = Type.Object({
  id: Type.Integer(),
  subject: Type.String(),
  site: nullable(Type.String()),
  key: nullable(Type.String()),
  reason: Type.String(),
  detail: Type.String(),
  payload: nullable(Type.String()),
  payload_encoding: Type.Optional(Type.Literal("base64")),
  payload_truncated: Type.Boolean(),
  stream_sequence: Type.Integer(),
  received_at: Time,
  replayed_at: nullable(Time),
});
export const DeadLetterGroup = Type.Object({
  site: nullable(Type.String()),
  key: nullable(Type.String()),
  count: Type.Integer(),
  last_value: Type.Unknown(),
  last_at: Time,
});

export const Prediction = Type.Object({
  timestamp: Time,
  drift: Finite,
  value: Finite,
  lower: Finite,
  upper: Finite,
  confidence: Finite,
});
export const DriftPrediction = Type.Object({
  sensor_id: Type.Integer(),
  method: Type.String(),
  model_version: nullable(Type.Integer()),
  fallback_reason: nullable(Type.String()),
  baseline: nullable(Finite),
  current_drift: nullable(Finite),
  predictions: Type.Array(Prediction),
  slope: nullable(Type.Object({ percent_per_day: Finite, lower: Finite, upper: Finite })),
  time_to_tolerance: Type.Unknown(),
  skill: nullable(Finite),
  unreferenced: Type.Boolean(),
  remark: nullable(Type.String()),
});

export const Service = Type.Object({
  service: Type.String(),
  replicas: Type.Array(Type.String()),
  lag: nullable(Type.Integer({ description: "messages of the log not yet kept; null where it keeps no position" })),
  per_second: nullable(
    Type.Number({ description: "messages of the log passed, over the last minute; null until it was measured" }),
  ),
  failing_partitions: Type.Integer({ description: "partitions whose next batch was begun and not finished" }),
  counters: Type.Record(Type.String(), Type.Number()),
});
export const System = Type.Object({
  services: Type.Array(Service),
  dead_letters: Type.Record(Type.String(), Type.Integer()),
  training: Type.Object({
    waiting: nullable(Type.Integer()),
    running: nullable(Type.Integer()),
    failed_last_day: Type.Integer({ description: "training runs that failed in the last 24 hours" }),
  }),
  streams: Type.Array(
    Type.Object({
      name: Type.String(),
      messages: Type.Integer(),
      bytes: Type.Integer(),
      bytes_max: nullable(Type.Integer()),
    }),
  ),
});

export const Session = Type.Object({
  role: oneOf(["viewer", "plant", "operator", "admin"] as const),
  name: Type.String(),
  sites: nullable(Type.Array(Type.String())),
});
export const Token = Type.Object({
  id: Type.Integer(),
  name: Type.String(),
  role: oneOf(["viewer", "plant", "operator", "admin"] as const),
  sites: nullable(Type.Array(Type.String())),
  created_at: Time,
  expires_at: nullable(Time),
  last_used_at: nullable(Time),
  revoked_at: nullable(Time),
});

const count = Type.Integer({ minimum: 0 });
const counts = Type.Record(Type.String(), count);
const fallback = nullable(oneOf(FALLBACK_REASONS));
const version = nullable(Type.Integer());

export const ReadingsOrBuckets = Type.Union([
  listOf(Reading),
  Type.Object({ ...listOf(Bucket).properties, resolution: Type.Integer({ description: "seconds a bucket" }) }),
]);
/** Each element is judged by itself, so the body is not validated by this: it is told what a good one is. */
export const ReadingsToPost = Type.Union([
  Type.Object({
    sensor_id: Type.Integer(),
    raw_value: Finite,
    timestamp: Type.Optional(Instant),
    quality: Type.Optional(oneOf(QUALITIES)),
  }),
  Type.Array(Type.Object({ sensor_id: Type.Integer(), raw_value: Finite, timestamp: Instant }), { maxItems: 10_000 }),
]);
export const ReadingsTaken = Type.Object({
  accepted: count,
  rejected: Type.Array(Type.Object({ index: count, code: oneOf(DEAD_REASONS), detail: Type.String() })),
});

export const Detection = Type.Object({
  sensor_id: Type.Integer(),
  method: oneOf(ANOMALY_METHODS),
  model_version: version,
  fallback_reason: fallback,
  results: Type.Array(
    Type.Object({
      value: Finite,
      timestamp: Time,
      is_anomaly: Type.Boolean(),
      score: nullable(Finite),
      threshold: Finite,
      type: nullable(oneOf(ANOMALY_TYPES)),
      severity: nullable(oneOf(SEVERITIES)),
      expected: nullable(Finite),
      deviation: nullable(Finite),
    }),
  ),
});
export const Correction = Type.Object({
  raw_value: Finite,
  corrected_value: Finite,
  method: Type.String(),
  model_version: version,
  fallback_reason: fallback,
  lower: nullable(Finite),
  upper: nullable(Finite),
  extrapolated: nullable(Type.Boolean()),
  remarks: Type.Array(Type.Unknown()),
});

const TrainingResult = Type.Object({
  status: oneOf(["trained", "insufficient_data", "failed"] as const),
  model: Type.Optional(nullable(Model)),
  error: Type.Optional(Type.String()),
  required: Type.Optional(nullable(Type.Integer())),
  available: Type.Optional(nullable(Type.Integer())),
});
const TrainingResults = Type.Object(
  Object.fromEntries(MODEL_TYPES.map((type) => [type, Type.Optional(TrainingResult)])),
);
export const Training = Type.Object({ sensor_id: Type.Integer(), results: TrainingResults });
export const TrainingJobId = Type.Object({ job_id: Type.String() });
export const TrainingJob = Type.Object({
  job_id: Type.String(),
  status: oneOf(["running", "finished"] as const),
  trigger: Type.String(),
  created_at: Time,
  done: count,
  total: count,
  results: Type.Array(Training),
});

const Figure = Type.Object({
  value: nullable(Finite),
  unit: Type.String(),
  measured_on: Type.String(),
  samples: count,
  reason: nullable(Type.String({ description: "why there is no value" })),
});
const FalseAlarmsOfMany = Type.Object({
  sensors: count,
  promised_per_month: Finite,
  sensor_days: Type.Number({ description: "how long they were watched, at most 30 days each" }),
  own_history_days: Type.Number({ description: "days of their own that their thresholds rest on" }),
  promised_in_these_days: Finite,
  alarms_in_these_days: Type.Integer({ description: "of the novelty detector, true ones included: an upper bound" }),
});
export const Analytics = Type.Object({
  anomaly_detection_rate: Figure,
  drift_prediction_accuracy: Figure,
  calibration_improvement: Figure,
  sensors: Type.Object({ total: count, by_status: counts, by_type: counts }),
  readings: Type.Object({ total: count, last_24h: count }),
  anomalies: Type.Object({
    total: count,
    open: count,
    alarms: count,
    by_type: counts,
    by_severity: counts,
    by_day: counts,
  }),
  false_alarms: Type.Object({
    ...FalseAlarmsOfMany.properties,
    by_site: Type.Record(Type.String(), FalseAlarmsOfMany),
  }),
  models: Type.Object({ total: count, by_type: counts, due: count }),
  training: Type.Object({ runs: count, failed: count, short_of_data: count }),
  fallbacks: Type.Record(Type.String(), counts),
  lag: Type.Record(
    Type.String(),
    nullable(Type.Integer({ description: "of the slowest partition, in sequences of the log" })),
  ),
});

export const DeadLetters = Type.Union([listOf(DeadLetter), listOf(DeadLetterGroup)]);
export const Replayed = Type.Object({ replayed: count });
export const SessionBegun = Type.Object({ role: Session.properties.role, name: Type.String() });
export const SignInCode = Type.Object({ code: Type.String() });
export const TokenMade = Type.Object({
  id: Type.Integer(),
  token: Type.String({ description: "shown this once" }),
  name: Type.String(),
  role: Token.properties.role,
  sites: Token.properties.sites,
  expires_at: nullable(Time),
});
export const AuditLine = Type.Object({
  id: Type.Integer(),
  at: Time,
  token_id: nullable(Type.Integer()),
  token_name: nullable(Type.String()),
  method: Type.String(),
  path: Type.String(),
  status: Type.Integer(),
  detail: Type.Unknown(),
});
export const Site = Type.Object({
  site: Type.String(),
  sensors: Type.Integer(),
  false_alarms_per_month: Type.Number({ description: "its budget: what each sensor has that has none of its own" }),
  own_budgets: Type.Integer({ description: "sensors whose budget is another" }),
});
export const Budget = Type.Object({
  site: Type.String(),
  false_alarms_per_month: Type.Number({ description: "what a new sensor of the site begins with" }),
  sensors: Type.Integer({ description: "how many the site has; a PUT sets it for each of them" }),
});
export const Alive = Type.Object({ status: Type.Literal("alive") });
export const Readiness = Type.Object({
  status: oneOf(["ready", "unready"] as const),
  troubles: Type.Record(Type.String(), Type.String()),
});

/** RFC 9457, `application/problem+json`. */
export const ProblemDetails = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: oneOf(PROBLEM_CODES),
  detail: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
});
