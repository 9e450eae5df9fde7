/**
 * A threshold is offered as what it costs: how many false alarms a sensor may raise in a month. The operating points were measured
 * on the whole NAB corpus (58 series, labelled); between them the logarithm of the rate is linear in θ.
 */

/** θ and false alarms a sensor-day. */
const OPERATING_POINTS: readonly (readonly [theta: number, perDay: number])[] = [
  [4.5, 0.194],
  [5, 0.135],
  [5.5, 0.097],
  [6.5, 0.05],
  [8, 0.023],
  [10, 0.014],
];

export const DAYS_PER_MONTH = 30;

/** Fewer days are no rate. */
const OBSERVED_DAYS_MIN = 1;

/**
 * Alarms a month, of those seen in so many days; null where there were too few of them. True alarms are among them, as only people can
 * tell them apart: what was false is at most this.
 *
 * @example observedPerMonth(2, 20) // 3
 */
export function observedPerMonth(alarms: number, days: number): number | null {
  return days < OBSERVED_DAYS_MIN ? null : (alarms * DAYS_PER_MONTH) / days;
}

/**
 * The θ whose measured rate keeps the budget. A budget beyond the measured range gets the nearest end of it.
 *
 * @example thetaForBudget(2.91) // 5.5
 */
export function thetaForBudget(alarmsPerMonth: number): number {
  const perDay = Math.max(alarmsPerMonth, Number.MIN_VALUE) / DAYS_PER_MONTH;
  const points = OPERATING_POINTS;
  if (perDay >= points[0]![1]) return points[0]![0];
  for (let i = 1; i < points.length; i++) {
    const [thetaLow, rateHigh] = points[i - 1]!;
    const [thetaHigh, rateLow] = points[i]!;
    if (perDay >= rateLow)
      return thetaLow + (thetaHigh - thetaLow) * (Math.log(rateHigh / perDay) / Math.log(rateHigh / rateLow));
  }
  return points.at(-1)![0];
}

/** False alarms a month that were measured at θ, interpolated: the rate that {@link thetaForBudget} can promise. */
export function promisedAlarmsPerMonth(theta: number): number {
  const points = OPERATING_POINTS;
  if (theta <= points[0]![0]) return points[0]![1] * DAYS_PER_MONTH;
  for (let i = 1; i < points.length; i++) {
    const [thetaLow, rateHigh] = points[i - 1]!;
    const [thetaHigh, rateLow] = points[i]!;
    if (theta <= thetaHigh)
      return DAYS_PER_MONTH * rateHigh * (rateLow / rateHigh) ** ((theta - thetaLow) / (thetaHigh - thetaLow));
  }
  return points.at(-1)![1] * DAYS_PER_MONTH;
}
