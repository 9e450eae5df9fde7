/** The fallback of the isolation forest: no training, no time of day, only the last readings. */
import { MAD_TO_SIGMA } from "./statistics.ts";

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
  const sorted = Float64Array.from(Array.from(recent).slice(-RECENT_READINGS)).sort();
  return judgeBySorted(sorted, sorted.length, value);
}

/** The same against the first `held` of readings that ascend: whoever judges a stream keeps them so. */
export function judgeBySorted(sorted: Float64Array, held: number, value: number): ThresholdJudgement | null {
  if (held < RECENT_READINGS_MIN) return null;
  const position = (held - 1) / 2;
  const below = Math.floor(position);
  const low = sorted[below]!;
  const expected = low + (position - below) * (sorted[Math.min(below + 1, held - 1)]! - low);
  const deviation = Math.max(
    MAD_TO_SIGMA * medianDistance(sorted, held, expected),
    RELATIVE_FLOOR * Math.abs(expected),
    Number.MIN_VALUE,
  );
  const score = Math.min(Math.abs(value - expected) / deviation, Number.MAX_VALUE);
  return { score, threshold: ROBUST_THRESHOLD, isAnomaly: score > ROBUST_THRESHOLD, expected };
}

/** The median distance from the centre: what ascends is walked from there to both sides, nearest first. */
function medianDistance(sorted: Float64Array, held: number, centre: number): number {
  let right = 0;
  while (right < held && sorted[right]! < centre) right++;
  let left = right - 1;
  const position = (held - 1) / 2;
  const below = Math.floor(position);
  const last = Math.min(below + 1, held - 1);
  let low = 0;
  let distance = 0;
  for (let taken = 0; taken <= last; taken++) {
    const toLeft = left >= 0 ? centre - sorted[left]! : Infinity;
    const toRight = right < held ? sorted[right]! - centre : Infinity;
    if (toLeft < toRight) {
      distance = toLeft;
      left--;
    } else {
      distance = toRight;
      right++;
    }
    if (taken === below) low = distance;
  }
  return low + (position - below) * (distance - low);
}

/** Takes `value` into the first `held` of an ascending window, which has room; the one that is `gone` leaves it. Returns how many it holds. */
export function slideSorted(sorted: Float64Array, held: number, value: number, gone: number | null): number {
  let count = held;
  let at = count;
  if (gone !== null) {
    at = 0;
    while (sorted[at] !== gone) at++;
    count--;
    while (at < count && sorted[at + 1]! < value) sorted[at] = sorted[++at]!;
  }
  while (at > 0 && sorted[at - 1]! > value) sorted[at] = sorted[--at]!;
  sorted[at] = value;
  return count + 1;
}
