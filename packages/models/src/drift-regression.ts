/**
 * The original's drift model: a linear regression of the next value on the ones before it. It is trained, stored and reported;
 * the blend usually predicts better, and then answers.
 */
import { MultivariateLinearRegression } from "ml-regression";
import { clipSpikes } from "./spikes.ts";

export const DRIFT_FEATURES = ["previous_value", "rolling_mean", "rolling_std", "time_since_start"] as const;
export const DRIFT_READINGS_MIN = 20;
const WINDOW_MAX = 5;

export interface DriftRegression {
  /** One per feature, of the columns as they are (percent, percent, percent, hours). */
  readonly weights: readonly number[];
  readonly intercept: number;
  readonly window: number;
  /** Root mean square of the training residuals, percent. */
  readonly deviation: number;
}

/** Readings that the rolling columns look back on. */
export const windowOf = (count: number): number => Math.max(2, Math.min(WINDOW_MAX, Math.floor(count / 4)));

/**
 * Fits next = intercept + weights · features on a series. Only what was known before a value enters its features: a rolling window that
 * includes its own target looks better and predicts worse.
 *
 * @param hours since the series began, ascending
 * @param drift percent, as long
 */
export function fitDriftRegression(hours: ArrayLike<number>, drift: ArrayLike<number>): DriftRegression {
  const count = drift.length;
  if (count < DRIFT_READINGS_MIN)
    throw new RangeError(`a drift regression needs ${DRIFT_READINGS_MIN} values, and got ${count}`);
  const window = windowOf(count);
  const calm = clipSpikes(drift);
  const rows: number[][] = [];
  const targets: number[] = [];
  for (let next = window; next < count; next++) {
    rows.push(
      featuresOf(
        Array.from({ length: window }, (_, k) => calm[next - window + k]!),
        hours[next]!,
      ),
    );
    targets.push(calm[next]!);
  }
  const { weights, intercept } = fitLinear(rows, targets);
  const residuals = rows.map((row, i) => targets[i]! - intercept - dot(weights, row));
  return {
    weights,
    intercept,
    window,
    deviation: Math.sqrt(residuals.reduce((sum, r) => sum + r * r, 0) / residuals.length),
  };
}

/** Rolls the regression forward, each prediction becoming the next one's past. */
export function rollDriftRegression(
  model: DriftRegression,
  recent: readonly number[],
  hours: ArrayLike<number>,
): Float64Array {
  const past = recent.slice(-model.window);
  return Float64Array.from(hours, (hour) => {
    const next = model.intercept + dot(model.weights, featuresOf(past, hour));
    past.push(next);
    if (past.length > model.window) past.shift();
    return next;
  });
}

function featuresOf(window: readonly number[], hour: number): number[] {
  const mean = window.reduce((sum, value) => sum + value, 0) / window.length;
  const variance = window.reduce((sum, value) => sum + (value - mean) ** 2, 0) / window.length;
  return [window.at(-1)!, mean, Math.sqrt(variance), hour];
}

/**
 * Least squares by `ml-regression` on centred and scaled columns: its normal equations lose all digits on epoch times. A column
 * that never changes gets the weight 0.
 */
export function fitLinear(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
): { weights: number[]; intercept: number } {
  const columns = rows[0]!.length;
  const centres = Array.from({ length: columns }, (_, c) => rows.reduce((sum, row) => sum + row[c]!, 0) / rows.length);
  const scales = centres.map((centre, c) =>
    Math.sqrt(rows.reduce((sum, row) => sum + (row[c]! - centre) ** 2, 0) / rows.length),
  );
  const varying = scales.flatMap((scale, c) => (scale > 1e-12 * Math.max(1, Math.abs(centres[c]!)) ? [c] : []));
  const level = targets.reduce((sum, target) => sum + target, 0) / targets.length;
  const weights = Array.from({ length: columns }, () => 0);
  if (varying.length > 0) {
    const x = rows.map((row) => varying.map((c) => (row[c]! - centres[c]!) / scales[c]!));
    const fitted = new MultivariateLinearRegression(
      x,
      targets.map((target) => [target - level]),
      { intercept: false, statistics: false },
    );
    varying.forEach((c, i) => (weights[c] = fitted.weights[i]![0]! / scales[c]!));
  }
  return { weights, intercept: level - dot(weights, centres) };
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
