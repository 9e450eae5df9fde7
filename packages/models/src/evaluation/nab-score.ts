/**
 * The score of Numenta's Anomaly Benchmark (Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015), standard
 * profile: early detections inside a labelled window earn up to 1, a window that is missed costs 1, a false alarm 0.11, less shortly
 * after a window. A detector that never speaks has 0, one that alarms at the first reading of each window and nowhere else has 100.
 */

/** First and last reading of a labelled window, as indices. */
export interface NabWindow {
  readonly from: number;
  readonly to: number;
}

export interface NabResult {
  /** Sum of earned and lost points; a missed window is −1. */
  readonly points: number;
  readonly windows: number;
  readonly found: number;
  readonly falseAlarms: number;
  readonly alarms: number;
}

const FALSE_ALARM_COST = 0.11;
/** Learning time, in which nothing counts: 15 % of a series, of 5000 readings at most. */
const PROBATION_SHARE = 0.15;
const PROBATION_OF_MAX = 5000;

export const probationOf = (readings: number): number =>
  Math.min(Math.floor(PROBATION_SHARE * readings), PROBATION_SHARE * PROBATION_OF_MAX);

/**
 * What a detection is worth at a position: −1 is a window's first reading, 0 its end, above 0 behind it, in window lengths.
 *
 * @example positionWorth(-1) // 0.98661
 * @example positionWorth(0.45) // −0.8093, the false alarm in the paper's worked example
 */
export function positionWorth(position: number): number {
  return position > 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1;
}

/** @param alarms indices of the readings that alarmed, ascending; @param windows ascending, apart from each other */
export function scoreSeries(readings: number, windows: readonly NabWindow[], alarms: readonly number[]): NabResult {
  const probation = probationOf(readings);
  const earned = windows.map(() => -1);
  let lost = 0;
  let falseAlarms = 0;
  const counted = alarms.filter((at) => at >= probation);
  for (const at of counted) {
    const inside = windows.findIndex(({ from, to }) => from <= at && at <= to);
    if (inside >= 0) {
      const { from, to } = windows[inside]!;
      const worth = positionWorth(-(to - at + 1) / (to - from + 1)) / positionWorth(-1);
      earned[inside] = Math.max(earned[inside]!, worth);
      continue;
    }
    falseAlarms++;
    const before = windows.findLast(({ to }) => to < at);
    lost +=
      FALSE_ALARM_COST * (before === undefined ? -1 : positionWorth((at - before.to) / (before.to - before.from)));
  }
  return {
    points: earned.reduce((sum, one) => sum + one, 0) + lost,
    windows: windows.length,
    found: earned.filter((one) => one > -1).length,
    falseAlarms,
    alarms: counted.length,
  };
}

/** All series together, 0 (silence) to 100 (perfect); NaN where there is no window. */
export function normalisedScore(results: readonly Pick<NabResult, "points" | "windows">[]): number {
  const windows = results.reduce((sum, one) => sum + one.windows, 0);
  const points = results.reduce((sum, one) => sum + one.points, 0);
  return (100 * (points + windows)) / (2 * windows);
}
