/** What REST takes and gives: one place for validation, types and OpenAPI. */
import { ANOMALY_METHODS, ANOMALY_TYPES, SEVERITIES } from "@calibration/shared/anomaly.ts";
import { CALIBRATION_METHODS } from "@calibration/shared/calibration.ts";
import { MODEL_TYPES } from "@calibration/shared/model.ts";
import { QUALITIES } from "@calibration/shared/reading.ts";
import { SENSOR_STATUSES, SENSOR_TYPES } from "@calibration/shared/sensor.ts";
import { Type, type TSchema } from "typebox";

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

export const Sensor = Type.Object({
  ...named,
  ...changeable,
  settings: Settings,
  value: nullable(Finite),
  status: oneOf(SENSOR_STATUSES),
  last_updated: nullable(Type.String()),
  drift: nullable(Finite),
  /** "learning: n of N": which of the detectors speak already. */
  learning: nullable(
    Type.Object({
      stage: Type.String({ description: "watchers, threshold, isolation_forest, novelty (still mute), complete" }),
      readings: Type.Integer(),
      of: Type.Integer(),
    }),
  ),
  /** What was promised of the novelty detector, and what it did in the last days. */
  false_alarms: Type.Object({
    budget_per_month: Finite,
    threshold: Finite,
    promised_per_month: Finite,
    observed_per_month: nullable(Type.Number({ description: "all its alarms, true ones included: an upper bound" })),
    alarms: Type.Integer(),
    days: Finite,
  }),
  created_at: Type.String(),
  open_alarms: Type.Integer(),
  open_anomalies: Type.Integer({ description: "alarms and flags" }),
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
  Type.Object({ count: Type.Integer(), next: nullable(Type.String()), results: Type.Array(schema) });
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
    Type.Number({ description: "messages of the log passed in the last seconds; null until it was measured" }),
  ),
  failing_partitions: Type.Integer({ description: "partitions whose next batch was begun and not finished" }),
  counters: Type.Record(Type.String(), Type.Number()),
});
export const System = Type.Object({
  services: Type.Array(Service),
  dead_letters: Type.Record(Type.String(), Type.Integer()),
  training: Type.Object({ waiting: nullable(Type.Integer()), running: nullable(Type.Integer()) }),
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
