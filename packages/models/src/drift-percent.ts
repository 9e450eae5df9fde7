/**
 * Drift is how far a sensor's usual value has moved from what it was when it was known to be right, in percent of that. Near
 * zero a percent of the value means nothing; then it is a percent of the span.
 */
import { median } from "./statistics.ts";

/** Below this share of the span a baseline is no measure. */
const BASELINE_SHARE_MIN = 0.01;
const HOURS = 24;

/** The median of the first 24 hourly means (of those there are); NaN of none. */
export function baselineOf(hourlyMeans: ArrayLike<number>): number {
  return median(Array.from(hourlyMeans).slice(0, HOURS));
}

/**
 * Drift of the last 24 hourly means, percent.
 *
 * @param span the sensor's range, else the distance between its 5 % and 95 % points
 * @example driftOf([10.5, 10.5], 10, 20) // 5
 */
export function driftOf(hourlyMeans: ArrayLike<number>, baseline: number, span: number): number {
  return percentOf(median(Array.from(hourlyMeans).slice(-HOURS)), baseline, span);
}

/** How far one value is from the baseline, percent; 0 where neither baseline nor span is a measure. */
export function percentOf(value: number, baseline: number, span: number): number {
  const unit = measureOf(baseline, span);
  return unit > 0 ? (100 * (value - baseline)) / unit : 0;
}

/** The value that is so many percent from the baseline. */
export function valueOf(drift: number, baseline: number, span: number): number {
  return baseline + (drift / 100) * measureOf(baseline, span);
}

const measureOf = (baseline: number, span: number): number =>
  Math.abs(baseline) < BASELINE_SHARE_MIN * span ? span : Math.abs(baseline);
