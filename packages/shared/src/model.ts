/** Models: what kinds there are, and why an answer may come from something simpler. */

export type ModelType = "anomaly" | "drift" | "calibration";
export const MODEL_TYPES: readonly ModelType[] = ["anomaly", "drift", "calibration"];

export const FALLBACK_REASONS = [
  "model_missing",
  "model_damaged",
  "model_incompatible",
  "prediction_error",
  "insufficient_history",
] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

/** `{type}_model_{sensor_name}_{sensor_id}`, everything but letters and digits as `_`. */
export function modelName(type: ModelType, sensorName: string, sensorId: number): string {
  return `${type}_model_${sensorName}_${sensorId}`.replaceAll(/[^\p{L}\p{N}]/gu, "_");
}

/** A row of `model_artifacts` without its bytes, as a query gives it. */
export interface ModelRow {
  id: number;
  model_name: string;
  model_type: ModelType;
  sensor_id: number;
  version: number;
  current: boolean;
  algorithm: string;
  params: Record<string, unknown>;
  features: string[];
  samples: number;
  metrics: Record<string, unknown>;
  trained_at: Date;
  trigger: string;
  due_because: string | null;
  training_from: Date | null;
  training_to: Date | null;
  size_bytes: number;
  sha256: string;
}

/** The columns of {@link ModelRow}; the artifact itself is only read by who needs it. */
export const MODEL_COLUMNS = `id, model_name, model_type, sensor_id, version, current, algorithm, params, features, samples, metrics,
  trained_at, trigger, due_because, training_from, training_to, size_bytes, sha256`;

/** As REST shows it and events tell it. */
export const modelBody = (row: ModelRow) => ({
  id: row.id,
  model_name: row.model_name,
  model_type: row.model_type,
  sensor_id: row.sensor_id,
  version: row.version,
  current: row.current,
  algorithm: row.algorithm,
  params: row.params,
  features: row.features,
  samples: row.samples,
  metrics: row.metrics,
  trained_at: row.trained_at.toISOString(),
  trigger: row.trigger,
  due_because: row.due_because,
  training_from: row.training_from?.toISOString() ?? null,
  training_to: row.training_to?.toISOString() ?? null,
  size_bytes: row.size_bytes,
  sha256: row.sha256,
});
