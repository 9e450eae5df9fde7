/** Which calibration speaks for a reading, and what it says: the model, a record that a person entered, or none. */
import { correctByModel, type CalibrationForm, type CalibrationModel } from "./calibration-fit.ts";

export type CorrectionMethod =
  | "linear_regression"
  | "robust_linear"
  | "polynomial"
  | "custom"
  | "latest_calibration"
  | "identity";

export interface Corrected {
  readonly correctedValue: number;
  readonly method: CorrectionMethod;
  readonly modelVersion: number | null;
  /** By a model, beyond what it was calibrated on: there it follows the tangent. */
  readonly extrapolated: boolean;
}

/** A recorded calibration, as far as it corrects. */
export interface CalibrationRecord {
  readonly method: "linear" | "polynomial" | "custom";
  readonly params: unknown;
  readonly appliedAtMs: number;
}

/** The model in force as a cache holds it: usable, or with the reason why not. */
export type FoundModel<M> =
  | { readonly model: M; readonly version: number }
  | { readonly model: null; readonly version: number; readonly reason: string }
  | null;

const COEFFICIENTS_MAX = 10;
const POINTS_MAX = 1000;

const METHOD_OF_FORM: Readonly<Record<CalibrationForm, CorrectionMethod>> = {
  identity: "identity",
  offset: "linear_regression",
  line: "linear_regression",
  huber_line: "robust_linear",
  parabola: "polynomial",
};

const withoutModel = (correctedValue: number, method: CorrectionMethod): Corrected => ({
  correctedValue,
  method,
  modelVersion: null,
  extrapolated: false,
});

/**
 * Corrects one reading. The latest calibration with params at its time, where it is a polynomial or a table, is applied as it was
 * given; else the model in force; else the latest line that was given; else the reading stands.
 *
 * @param calibrations of the sensor, by `appliedAtMs`
 */
export function chooseCorrection(
  found: FoundModel<CalibrationModel>,
  calibrations: readonly CalibrationRecord[],
  { timestampMs, value }: { timestampMs: number; value: number },
): Corrected {
  const latest = calibrations.findLast(({ params, appliedAtMs }) => params !== null && appliedAtMs <= timestampMs);
  if (latest !== undefined && latest.method !== "linear")
    return withoutModel(correctByRecord(latest, value), latest.method);
  if (found !== null && found.model !== null) {
    const { value: corrected, extrapolated } = correctByModel(found.model, value);
    if (Number.isFinite(corrected))
      return {
        correctedValue: corrected,
        method: METHOD_OF_FORM[found.model.form],
        modelVersion: found.version,
        extrapolated,
      };
  }
  if (latest !== undefined) return withoutModel(correctByRecord(latest, value), "latest_calibration");
  return withoutModel(value, "identity");
}

/** The same for one value now, with why a model did not answer where it did not: for whoever asks. */
export function explainCorrection(
  found: FoundModel<CalibrationModel>,
  calibrations: readonly CalibrationRecord[],
  reading: { timestampMs: number; value: number },
): Corrected & { readonly fallbackReason: string | null } {
  const { correctedValue, method, modelVersion, extrapolated } = chooseCorrection(found, calibrations, reading);
  const asGiven = method === "custom" || (method === "polynomial" && modelVersion === null);
  let fallbackReason: string | null = null;
  if (modelVersion === null && !asGiven)
    fallbackReason = found === null ? "model_missing" : found.model === null ? found.reason : "prediction_error";
  return { correctedValue, method, modelVersion, extrapolated, fallbackReason };
}

/** What a record with valid params makes of a raw value; a result beyond all numbers leaves the value as it is. */
export function correctByRecord({ method, params }: Pick<CalibrationRecord, "method" | "params">, raw: number): number {
  const corrected = applyParams(method, params, raw);
  return Number.isFinite(corrected) ? corrected : raw;
}

function applyParams(method: CalibrationRecord["method"], params: unknown, raw: number): number {
  if (method === "linear") {
    const { slope, intercept } = params as { slope: number; intercept: number };
    return slope * raw + intercept;
  }
  if (method === "polynomial")
    return (params as { coefficients: number[] }).coefficients.reduceRight((sum, c) => sum * raw + c, 0);
  return interpolate((params as { points: [number, number][] }).points, raw);
}

/** Straight lines between the points; beyond them, the outermost line goes on. */
function interpolate(points: readonly (readonly [number, number])[], raw: number): number {
  const sorted = points.toSorted((a, b) => a[0] - b[0]);
  if (sorted.length === 1) return raw + sorted[0]![1] - sorted[0]![0];
  const after = sorted.findIndex(([x]) => x >= raw);
  const to = after === -1 ? sorted.length - 1 : Math.max(1, after);
  const [x0, y0] = sorted[to - 1]!;
  const [x1, y1] = sorted[to]!;
  return y0 + ((y1 - y0) * (raw - x0)) / (x1 - x0);
}

/** What is wrong with params as they came in, as a sentence; null: nothing. */
export function validateCalibrationParams(method: CalibrationRecord["method"], params: unknown): string | null {
  if (typeof params !== "object" || params === null || Array.isArray(params)) return "params must be an object";
  const given = params as Record<string, unknown>;
  if (method === "linear")
    return isNumber(given["slope"]) && isNumber(given["intercept"])
      ? null
      : "linear params are {slope, intercept}, both numbers";
  if (method === "polynomial") {
    const { coefficients } = given;
    if (
      !Array.isArray(coefficients) ||
      coefficients.length === 0 ||
      coefficients.length > COEFFICIENTS_MAX ||
      !coefficients.every(isNumber)
    ) {
      return `polynomial params are {coefficients}: 1 to ${COEFFICIENTS_MAX} numbers, the constant first`;
    }
    return null;
  }
  const { points } = given;
  const arePoints =
    Array.isArray(points) &&
    points.length > 0 &&
    points.length <= POINTS_MAX &&
    points.every((point) => Array.isArray(point) && point.length === 2 && point.every(isNumber));
  if (!arePoints) return `custom params are {points}: 1 to ${POINTS_MAX} pairs [raw, corrected]`;
  return new Set((points as number[][]).map(([raw]) => raw)).size === points.length
    ? null
    : "custom points must have different raw values";
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
