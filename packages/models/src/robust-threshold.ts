/** The fallback of the isolation forest: no training, no time of day, only the last readings. */
import { median, medianAbsoluteDeviation } from "./statistics.ts";

/** Robust deviations beyond which a reading is an anomaly (Iglewicz and Hoaglin, 1993). */
export const ROBUST_THRESHOLD = 3.5;
/** Readings looked back on. */
export const RECENT_READINGS = 100;
/** Fewer say nothing about what is usual. */
export const RECENT_READINGS_MIN = 10;
/** A sensor that repeats itself has a deviation of 0; a millionth of its level stands in for its resolution. */
const RELATIVE_FLOOR = 1e-6;

export interface ThresholdJudgement {
  /** |value − median| in robust deviations. */
  readonly score: number;
  readonly threshold: number;
  readonly isAnomaly: boolean;
  readonly expected: number;
}

/**
 * Judges a value against the readings before it: |value − median| / MAD × 1/1.4826. Null with fewer than
 * {@link RECENT_READINGS_MIN} of them.
 *
 * @param recent the last readings, in any order, the judged one not among them; the last {@link RECENT_READINGS} count
 * @example judgeByThreshold([20, 21, 20, 22, 21, 20, 21, 22, 20, 21], 40)?.isAnomaly // true
 */
export function judgeByThreshold(recent: ArrayLike<number>, value: number): ThresholdJudgement | null {
  const readings = Array.from(recent).slice(-RECENT_READINGS);
  if (readings.length < RECENT_READINGS_MIN) return null;
  const expected = median(readings);
  const deviation = Math.max(
    medianAbsoluteDeviation(readings, expected),
    RELATIVE_FLOOR * Math.abs(expected),
    Number.MIN_VALUE,
  );
  const score = Math.min(Math.abs(value - expected) / deviation, Number.MAX_VALUE);
  return { score, threshold: ROBUST_THRESHOLD, isAnomaly: score > ROBUST_THRESHOLD, expected };
}
