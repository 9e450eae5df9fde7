/** What REST takes and gives: one place for validation, types and OpenAPI. */
import { ANOMALY_METHODS, ANOMALY_TYPES, SEVERITIES } from "@calibration/shared/anomaly.ts";
import { CALIBRATION_METHODS } from "@calibration/shared/calibration.ts";
import { MODEL_TYPES } from "@calibration/shared/model.ts";
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

export const Settings = Type.Object(
  {
    time_zone: Type.String(),
    trees: Type.Integer({ minimum: 1, maximum: 1000 }),
    subsample: Type.Integer({ minimum: 2, maximum: 65_535 }),
    contamination: Type.Number({ exclusiveMinimum: 0, maximum: 0.5 }),
    false_alarms_per_month: Type.Number({ exclusiveMinimum: 0, maximum: 1000 }),
    tolerance: nullable(Type.Number({ exclusiveMinimum: 0 })),
    drift_levels: Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 1, maxItems: 10 }),
    promotion: oneOf(["automatic", "manual"] as const),
  },
  { additionalProperties: false },
);

const changeable = {
  name: Type.String({ minLength: 1, maxLength: 200 }),
  type: oneOf(SENSOR_TYPES),
  unit: Type.String({ maxLength: 40 }),
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
  value: nullable(Finite),
  status: oneOf(SENSOR_STATUSES),
  last_updated: nullable(Type.String()),
  drift: nullable(Finite),
  learning: nullable(Type.Unknown()),
  created_at: Type.String(),
});

export const ReadingToPost = Type.Object({
  sensor_id: Type.Integer(),
  raw_value: Type.Unknown(),
  timestamp: Type.Optional(Instant),
  quality: Type.Optional(Type.Unknown()),
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
  { resolved: Type.Optional(Type.Boolean()), note: Type.Optional(nullable(Type.String({ maxLength: 2000 }))) },
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
