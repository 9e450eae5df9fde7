/**
 * The watchers: rules that need no training and speak from the first readings on. A value that stands still, a value that
 * means "no value", a value and a change that physics excludes. Silence, the fifth, is judged by whoever has a clock.
 */

export type WatchRule = "flat_line" | "sentinel" | "range" | "rate";

export interface WatchFinding {
  readonly rule: WatchRule;
  readonly value: number;
  /** What would have been usual, in the sensor's unit, where the rule knows. */
  readonly expected: number | null;
  /** The end of a sentence: "… measured: the same value 9 times in a row". */
  readonly detail: string;
}

export interface WatchContext {
  readonly rangeMin: number | null;
  readonly rangeMax: number | null;
  readonly expectedIntervalS: number | null;
  /** The most that the value can change in a minute, in the sensor's unit; null: not known. */
  readonly ratePerMinuteMax: number | null;
}

/** What the rules remember of one sensor; plain JSON. */
export interface Watch {
  newestMs: number | null;
  value: number | null;
  /** Equal readings in a row, up to now. */
  run: number;
  /** The longest such run that was no finding, of those that have ended. */
  longestRun: number;
  readings: number;
  least: number;
  most: number;
  /** The last intervals, milliseconds. */
  intervals: number[];
}

/** What instruments and their drivers send when they have nothing to say. */
export const SENTINELS: readonly number[] = [-9999, -999, -999.9, -99.9, 999.9, 9999, 99_999, 65_535, 32_767, -32_768];

/** Runs shorter than this are chance. */
const FLAT_RUN_MIN = 6;
/** A run must be so many times the longest there ever was. */
const FLAT_RATIO = 3;
/** A sensor that has shown fewer readings has not yet shown how it stands still. */
const FLAT_FROM = 30;
/** So far outside what was seen, in widths of it, a sentinel's value is believed to be one. */
const SENTINEL_WIDTHS = 1;
const SENTINEL_FROM = 3;
const INTERVALS_KEPT = 31;
const INTERVALS_MIN = 5;
/** A gap is a silence of so many intervals. */
const GAP_INTERVALS = 4;

export const createWatch = (): Watch => ({
  newestMs: null,
  value: null,
  run: 0,
  longestRun: 1,
  readings: 0,
  least: 0,
  most: 0,
  intervals: [],
});

/** Judges the next reading (newer than the newest) and takes it in; what was found, the gravest first. */
export function updateWatch(
  watch: Watch,
  reading: { timestampMs: number; value: number },
  context: WatchContext,
): WatchFinding[] {
  const { value } = reading;
  const findings: WatchFinding[] = [];
  const sentinel = sentinelFinding(watch, value);
  if (sentinel !== null) findings.push(sentinel);
  const outside = rangeFinding(value, context);
  if (outside !== null && sentinel === null) findings.push(outside);
  const leap = rateFinding(watch, reading, context);
  if (leap !== null && sentinel === null) findings.push(leap);
  takeInterval(watch, reading.timestampMs);

  if (value === watch.value) watch.run++;
  else {
    // A run that was itself a finding teaches nothing about what is usual.
    if (watch.run < flatRun(watch)) watch.longestRun = Math.max(watch.longestRun, watch.run);
    watch.run = 1;
  }
  if (watch.readings >= FLAT_FROM && watch.least < watch.most && watch.run >= flatRun(watch)) {
    findings.push({
      rule: "flat_line",
      value,
      expected: null,
      detail: `the same value ${watch.run} times in a row, where ${watch.longestRun} were the most before`,
    });
  }
  watch.value = value;
  watch.newestMs = reading.timestampMs;
  watch.readings++;
  if (sentinel === null) {
    watch.least = watch.readings === 1 ? value : Math.min(watch.least, value);
    watch.most = watch.readings === 1 ? value : Math.max(watch.most, value);
  }
  return findings;
}

/** The physical range, where one is set; its ends belong to it. */
export function rangeFinding(
  value: number,
  { rangeMin, rangeMax }: Pick<WatchContext, "rangeMin" | "rangeMax">,
): WatchFinding | null {
  if (rangeMin !== null && value < rangeMin)
    return { rule: "range", value, expected: null, detail: `below the range, which begins at ${rangeMin}` };
  if (rangeMax !== null && value > rangeMax)
    return { rule: "range", value, expected: null, detail: `above the range, which ends at ${rangeMax}` };
  return null;
}

/** A change faster than the thing measured can change. Back from a sentinel nothing has changed: there was no value to change from. */
function rateFinding(
  watch: Watch,
  { timestampMs, value }: { timestampMs: number; value: number },
  { ratePerMinuteMax }: Pick<WatchContext, "ratePerMinuteMax">,
): WatchFinding | null {
  if (ratePerMinuteMax === null || watch.value === null || watch.newestMs === null) return null;
  if (SENTINELS.includes(watch.value)) return null;
  const minutes = (timestampMs - watch.newestMs) / 60_000;
  const rate = Math.abs(value - watch.value) / minutes;
  if (!(rate > ratePerMinuteMax)) return null;
  const shown = Number(rate.toPrecision(3));
  return {
    rule: "rate",
    value,
    expected: watch.value,
    detail: `a change of ${shown} a minute, where ${ratePerMinuteMax} is the most`,
  };
}

/** Milliseconds of silence beyond which a sensor with such an interval is missed. */
export const gapThresholdMs = (intervalS: number): number => GAP_INTERVALS * intervalS * 1000;

/** The median of the last intervals between readings, seconds; null until there are five. */
export function learntIntervalS(watch: Watch): number | null {
  if (watch.intervals.length < INTERVALS_MIN) return null;
  const sorted = watch.intervals.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]! / 1000;
}

const flatRun = ({ longestRun }: Watch): number => Math.max(FLAT_RUN_MIN, FLAT_RATIO * longestRun);

/** A sentinel counts only where the sensor's own values are far from it: some sensors do measure 999.9. */
function sentinelFinding(watch: Watch, value: number): WatchFinding | null {
  if (!SENTINELS.includes(value) || watch.readings < SENTINEL_FROM) return null;
  const width = watch.most - watch.least;
  if (value >= watch.least - SENTINEL_WIDTHS * width && value <= watch.most + SENTINEL_WIDTHS * width) return null;
  return {
    rule: "sentinel",
    value,
    expected: (watch.least + watch.most) / 2,
    detail: `${value} is what an instrument sends in place of a value`,
  };
}

function takeInterval(watch: Watch, timestampMs: number): void {
  if (watch.newestMs === null) return;
  watch.intervals.push(timestampMs - watch.newestMs);
  if (watch.intervals.length > INTERVALS_KEPT) watch.intervals.shift();
}
