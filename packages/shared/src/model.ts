/** Models: what kinds there are, and why an answer may come from something simpler. */

export type ModelType = "anomaly" | "drift" | "calibration";
export const MODEL_TYPES: readonly ModelType[] = ["anomaly", "drift", "calibration"];

export type FallbackReason =
  | "model_missing"
  | "model_damaged"
  | "model_incompatible"
  | "prediction_error"
  | "insufficient_history";

/** `{type}_model_{sensor_name}_{sensor_id}`, everything but letters and digits as `_`. */
export function modelName(type: ModelType, sensorName: string, sensorId: number): string {
  return `${type}_model_${sensorName}_${sensorId}`.replaceAll(/[^\p{L}\p{N}]/gu, "_");
}
