/**
 * A threshold is offered as what it costs: how many false alarms a sensor may raise in a month. Between the operating points the
 * logarithm of the rate is linear in θ. What a sensor has shown itself takes their place as its days go by
 * (`npm run evaluate -- --budget --nab DIR` has both, and the operating points of that folder beside these).
 */

/**
 * θ and false alarms a sensor-day on NAB's corpus (58 series, labelled): what was measured on the whole of it with tails of 2 %, times what
 * tails of 3 % make of it on the half that the detector is developed on (1.02, 0.98, 0.94, 0.98, 0.76 and 0.57). That half is the calmer
 * one: it has four fifths of these.
 */
export const OPERATING_POINTS: readonly (readonly [theta: number, perDay: number])[] = [
  [4.5, 0.197],
  [5, 0.133],
  [5.5, 0.091],
  [6.5, 0.049],
  [8, 0.0175],
  [10, 0.008],
];

export const DAYS_PER_MONTH = 30;

/** What was measured on the corpus weighs as if the sensor itself had shown it for so long. */
export const CORPUS_DAYS = 30;
/** Of a sensor's alarms so many are taken for true: else the first failure, found, would make it deaf for weeks. */
const TRUE_ALARMS = 1;

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

/** What a sensor's own readings would have raised so far, had each θ of {@link BUDGET_THETAS} been its threshold. */
export interface AlarmsSeen {
  /** Days with readings, of those on which alarms could be. */
  readonly days: number;
  readonly alarms: ArrayLike<number>;
}

export const BUDGET_THETAS: readonly number[] = OPERATING_POINTS.map(([theta]) => theta);
const NOTHING_SEEN: AlarmsSeen = { days: 0, alarms: new Float64Array(OPERATING_POINTS.length) };

/**
 * Alarms a day at each θ: the mean of what was measured on the corpus and of what the sensor has shown, each weighted by its days. The
 * corpus counts as a month: after one the sensor's own alarms weigh as much. (The mean of a Gamma distribution, which is what is known of a
 * rate once some events were counted.)
 */
function ratesOf({ days, alarms }: AlarmsSeen): Float64Array {
  const rates = Float64Array.from(
    OPERATING_POINTS,
    ([, perDay], k) => (Math.max(0, alarms[k]! - TRUE_ALARMS) + perDay * CORPUS_DAYS) / (days + CORPUS_DAYS),
  );
  // A lower threshold's longer silences may once hide what a higher one told; its rate is no lower for that.
  for (let k = rates.length - 2; k >= 0; k--) rates[k] = Math.max(rates[k]!, rates[k + 1]!);
  return rates;
}

/**
 * The θ whose rate keeps the budget: by the corpus for a sensor that has shown nothing yet, then more and more by its own history. A budget
 * beyond the rates at hand gets the nearest end of them.
 *
 * @example thetaForBudget(2.73) // 5.5
 * @example thetaForBudget(2.73, { days: 30, alarms: [21, 13, 11, 4, 2, 0] }) // 6.309: twice the corpus's alarms at 5.5
 */
export function thetaForBudget(alarmsPerMonth: number, seen: AlarmsSeen = NOTHING_SEEN): number {
  const perDay = Math.max(alarmsPerMonth, Number.MIN_VALUE) / DAYS_PER_MONTH;
  const rates = ratesOf(seen);
  if (perDay >= rates[0]!) return BUDGET_THETAS[0]!;
  for (let k = 1; k < rates.length; k++) {
    if (perDay < rates[k]!) continue;
    const share = Math.log(rates[k - 1]! / perDay) / Math.log(rates[k - 1]! / rates[k]!);
    return BUDGET_THETAS[k - 1]! + (BUDGET_THETAS[k]! - BUDGET_THETAS[k - 1]!) * share;
  }
  return BUDGET_THETAS.at(-1)!;
}

/** Alarms a month that are to be expected at θ, interpolated: the rate that {@link thetaForBudget} can promise. */
export function promisedAlarmsPerMonth(theta: number, seen: AlarmsSeen = NOTHING_SEEN): number {
  const rates = ratesOf(seen);
  const k = BUDGET_THETAS.findIndex((point) => theta <= point);
  if (k === 0) return rates[0]! * DAYS_PER_MONTH;
  if (k < 0) return rates.at(-1)! * DAYS_PER_MONTH;
  const share = (theta - BUDGET_THETAS[k - 1]!) / (BUDGET_THETAS[k]! - BUDGET_THETAS[k - 1]!);
  return DAYS_PER_MONTH * rates[k - 1]! * (rates[k]! / rates[k - 1]!) ** share;
}
