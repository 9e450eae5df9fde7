/**
 * The novelty detector: what raises alarms. It asks of every reading how improbable nine statistics of the recent past are, each
 * against its own history (`tail-model.ts`), and adds the answers up as a Euclidean norm. What is usual at this time of day is taken
 * off again: a pump that starts at seven every morning is no news. Streaming, one sensor a state, no look-ahead, deterministic.
 * `npm run evaluate -- --nab` measures it on Numenta's benchmark; the figures stand in `docs/MODELS.md`.
 */
import { BUDGET_THETAS, type AlarmsSeen } from "./false-alarm-budget.ts";
import {
  createTailModel,
  keptLength,
  keptOf,
  pushTail,
  restoreKept,
  surprise,
  TAIL_FROM,
  type Tail,
  type TailModel,
} from "./tail-model.ts";

/** In the order of `contributions`. */
export const NOVELTY_STATISTICS = [
  "level",
  "shift_10",
  "shift_30",
  "shift_100",
  "volatility_30",
  "volatility_100",
  "hour",
  "hour_10",
  "hour_of_week",
] as const;

/** Scores are 0 below this many readings. */
export const NOVELTY_FROM = TAIL_FROM;
/** Alarms are mute below this many readings: the tails are guesses until then. */
export const ALARMS_FROM = 300;
/** The detector's own threshold; `thetaForBudget` gives that of a false-alarm budget, with {@link Novelty.shown} that of the sensor. */
export const THETA_DEFAULT = 5.5;

const STATISTICS = NOVELTY_STATISTICS.length;
/** Cumulative sums of the last readings: enough for two windows of 100. */
const RING = 256;
const HOUR_RING = 16;
/** A profile's running mean forgets slowly: as if over this many readings. */
const PROFILE_READINGS_MAX = 200;
/** No single statistic may say more than 10⁻¹². */
const SURPRISE_MAX = 12;
/** Half-hour bins of a day, each remembering how strange it usually gets. */
const BINS = 48;
const BIN_DAYS = 7;
/** A bin begins as if it had seen three quiet days. */
const BIN_PRIOR_DAYS = 3;
const BIN_SHARE = 0.3;
const BIN_SCORE_MAX = 30;
/** After an alarm: a thirtieth of all readings so far, within bounds. */
const QUIET_SHARE = 1 / 30;
const QUIET_MIN = 20;
const QUIET_MAX = 150;
/** A score so many times the episode's peak alarms again, quiet or not: else a small event hides a large one. */
const REALARM_RATIO = 2;
/** What a sensor has shown is halved at so many days, days and alarms alike: a year ago counts half. */
const SHOWN_DAYS_MAX = 360;
/** Cumulative sums start anew after so many readings, before rounding is felt. */
const REBASE_READINGS = 65_536;

export interface NoveltyResult {
  /** 0: nothing new; an alarm is at least θ. */
  readonly score: number;
  readonly alarm: boolean;
  /** −log10 of each statistic's tail probability, in the order of {@link NOVELTY_STATISTICS}. Overwritten by the next update. */
  readonly contributions: Float64Array;
}

/** The state of one sensor, about 34 KB. Changed in place by {@link updateNovelty}. */
export interface Novelty {
  count: number;
  /** The first reading's value; everything is kept relative to it. */
  origin: number;
  sum: number;
  squares: number;
  readonly sums: Float64Array;
  readonly squareSums: Float64Array;
  hourSum: number;
  readonly hourSums: Float64Array;
  readonly tails: readonly TailModel[];
  readonly hourMean: Float64Array;
  readonly hourCount: Uint16Array;
  /** Working days 0–23, weekend 24–47. */
  readonly weekMean: Float64Array;
  readonly weekCount: Uint16Array;
  readonly binMean: Float32Array;
  readonly binDays: Uint8Array;
  readonly binToday: Float32Array;
  day: number;
  /** Readings of silence left after an alarm. */
  quiet: number;
  /** The score of the last alarm, told or mute: what follows is measured against it. */
  peak: number;
  /** What each threshold of a budget would have raised on this sensor since alarms could be. */
  readonly shown: Shown;
  readonly contributions: Float64Array;
}

interface Shown extends AlarmsSeen {
  days: number;
  readonly alarms: Float64Array;
  /** Until which reading each would be quiet, and the score that it alarmed at last. */
  readonly quietTo: Float64Array;
  readonly peaks: Float64Array;
}

const createShown = (): Shown => ({
  days: 0,
  alarms: new Float64Array(BUDGET_THETAS.length),
  quietTo: new Float64Array(BUDGET_THETAS.length),
  peaks: new Float64Array(BUDGET_THETAS.length),
});

/** Of {@link ARRAYS}, in their order. */
const ARRAYS_BYTES = (2 * RING + HOUR_RING + 24 + 48) * 8 + (24 + 48) * 2 + BINS * (4 + 1 + 4);

export function createNovelty(): Novelty {
  // Views of one buffer: a small array of its own is as large again.
  const bytes = new ArrayBuffer(ARRAYS_BYTES);
  let at = 0;
  const doubles = (length: number) => new Float64Array(bytes, (at += length * 8) - length * 8, length);
  const floats = (length: number) => new Float32Array(bytes, (at += length * 4) - length * 4, length);
  const counts = (length: number) => new Uint16Array(bytes, (at += length * 2) - length * 2, length);
  const small = (length: number) => new Uint8Array(bytes, (at += length) - length, length);
  return {
    count: 0,
    origin: 0,
    sum: 0,
    squares: 0,
    sums: doubles(RING),
    squareSums: doubles(RING),
    hourSum: 0,
    hourSums: doubles(HOUR_RING),
    tails: Array.from({ length: STATISTICS }, createTailModel),
    hourMean: doubles(24),
    hourCount: counts(24),
    weekMean: doubles(48),
    weekCount: counts(48),
    binMean: floats(BINS),
    binDays: small(BINS),
    binToday: floats(BINS).fill(-1),
    day: -1,
    quiet: 0,
    peak: 0,
    shown: createShown(),
    contributions: new Float64Array(STATISTICS),
  };
}

/**
 * Judges the next reading of a sensor and takes it in. About 2 µs.
 *
 * @param localSeconds seconds since 1970 on the sensor's own clock, as `createCalendar` gives them
 * @param value finite, in the sensor's unit; scaling or shifting a sensor's readings changes no alarm
 * @param theta alarms from this score on
 * @param alarmsFrom mute below so many readings; the detector's judgement is at hand from {@link NOVELTY_FROM} on
 */
export function updateNovelty(
  state: Novelty,
  localSeconds: number,
  value: number,
  theta: number,
  alarmsFrom: number = ALARMS_FROM,
): NoveltyResult {
  if (state.count === 0) state.origin = value;
  const y = value - state.origin;
  const n = ++state.count;
  if (n % REBASE_READINGS === 0) rebase(state);
  state.sum += y;
  state.squares += y * y;
  state.sums[n % RING] = state.sum;
  state.squareSums[n % RING] = state.squares;

  const hours = Math.floor(localSeconds / 3600);
  const day = Math.floor(hours / 24);
  const hour = hours - day * 24;
  const weekend = (((day + 3) % 7) + 7) % 7 >= 5;
  const start = meanOf(state, 0, 50);
  const offHour = takeProfile(state.hourMean, state.hourCount, hour, y, start);
  const offWeek = takeProfile(state.weekMean, state.weekCount, hour + (weekend ? 24 : 0), y, start);
  state.hourSum += offHour;
  const hourSumBefore = state.hourSums[(n - 10 + HOUR_RING) % HOUR_RING]!;
  state.hourSums[n % HOUR_RING] = state.hourSum;

  const at = state.contributions;
  at[0] = meanOf(state, 0, 3);
  at[1] = n > 20 ? meanOf(state, 0, 10) - meanOf(state, 10, 10) : 0;
  at[2] = n > 60 ? meanOf(state, 0, 30) - meanOf(state, 30, 30) : 0;
  at[3] = n > 200 ? meanOf(state, 0, 100) - meanOf(state, 100, 100) : 0;
  at[4] = volatility(state, 30);
  at[5] = volatility(state, 100);
  at[6] = offHour;
  at[7] = n > 10 ? (state.hourSum - hourSumBefore) / 10 : state.hourSum / n;
  at[8] = offWeek;
  let squares = 0;
  for (let i = 0; i < STATISTICS; i++) {
    const tail = state.tails[i]!;
    const statistic = at[i]!;
    const strange = Math.min(SURPRISE_MAX, surprise(tail, statistic));
    pushTail(tail, statistic);
    at[i] = strange;
    squares += strange * strange;
  }
  const raw = Math.sqrt(squares);
  const usual = usualAt(state, day, Math.floor((localSeconds - day * 86_400) / 1800), raw);
  const score = Math.max(0, raw - BIN_SHARE * usual);
  takeShown(state, score);
  return { score, alarm: decide(state, score, theta, alarmsFrom), contributions: at };
}

function decide(state: Novelty, score: number, theta: number, alarmsFrom: number): boolean {
  const quiet = state.quiet > 0;
  if (quiet) state.quiet--;
  // What began while alarms were mute and is not over is told when they no longer are.
  if (state.count === alarmsFrom && quiet && score >= state.peak / REALARM_RATIO) return true;
  if (score < theta || (quiet && score < REALARM_RATIO * state.peak)) return false;
  state.peak = score;
  state.quiet = quietAfter(state.count);
  return state.count >= alarmsFrom;
}

const quietAfter = (count: number): number => Math.max(QUIET_MIN, Math.min(QUIET_MAX, Math.floor(count * QUIET_SHARE)));

/** As {@link decide} would have, at each threshold of a budget. */
function takeShown({ count, shown: { alarms, quietTo, peaks } }: Novelty, score: number): void {
  if (count < ALARMS_FROM) return;
  for (let k = 0; k < BUDGET_THETAS.length && score >= BUDGET_THETAS[k]!; k++) {
    if (count <= quietTo[k]! && score < REALARM_RATIO * peaks[k]!) continue;
    alarms[k]!++;
    peaks[k] = score;
    quietTo[k] = count + quietAfter(count);
  }
}

function takeShownDay({ count, shown }: Novelty): void {
  if (count <= ALARMS_FROM) return;
  shown.days++;
  if (shown.days < SHOWN_DAYS_MAX) return;
  shown.days /= 2;
  for (let k = 0; k < shown.alarms.length; k++) shown.alarms[k]! /= 2;
}

/** Sum of `window` readings that ended `ago` readings ago, relative to the origin. */
function sumOf({ sums, count }: Novelty, ago: number, window: number): number {
  const end = count - ago;
  const begin = end > window ? end - window : 0;
  return sums[end % RING]! - (begin > 0 ? sums[begin % RING]! : 0);
}

function meanOf(state: Novelty, ago: number, window: number): number {
  return sumOf(state, ago, window) / Math.min(state.count - ago, window);
}

/** ln of the standard deviation of the last readings, with a floor that scales with the sensor. */
function volatility(state: Novelty, window: number): number {
  const { count, squareSums, tails } = state;
  const begin = count > window ? count - window : 0;
  const held = count - begin;
  const mean = sumOf(state, 0, window) / held;
  const variance = (squareSums[count % RING]! - (begin > 0 ? squareSums[begin % RING]! : 0)) / held - mean * mean;
  return Math.log(Math.sqrt(variance > 0 ? variance : 0) + 1e-4 * tails[0]!.deviation + 1e-12);
}

/** How far a reading is off its profile's running mean, which then takes it in. A cell's first reading is compared with the recent level. */
function takeProfile(mean: Float64Array, count: Uint16Array, cell: number, y: number, recent: number): number {
  let off: number;
  if (count[cell] === 0) {
    off = y - recent;
    mean[cell] = y;
    count[cell] = 1;
  } else off = y - mean[cell]!;
  if (count[cell]! < PROFILE_READINGS_MAX) count[cell]!++;
  mean[cell]! += (y - mean[cell]!) / count[cell]!;
  return off;
}

/** How strange this time of day usually gets: the most of the bin and its neighbours, from earlier days. Takes today's score in. */
function usualAt(state: Novelty, day: number, bin: number, raw: number): number {
  const { binMean, binDays, binToday } = state;
  if (day !== state.day) {
    if (state.day >= 0) {
      for (let b = 0; b < BINS; b++) {
        if (binToday[b]! < 0) continue;
        if (binDays[b]! < BIN_DAYS) binDays[b]!++;
        binMean[b]! += (binToday[b]! - binMean[b]!) / binDays[b]!;
      }
    }
    if (state.day >= 0) takeShownDay(state);
    binToday.fill(-1);
    state.day = day;
  }
  let usual = 0;
  for (let k = bin + BINS - 1; k <= bin + BINS + 1; k++) {
    const days = binDays[k % BINS]!;
    usual = Math.max(usual, (binMean[k % BINS]! * days) / (days + BIN_PRIOR_DAYS));
  }
  if (raw > binToday[bin]!) binToday[bin] = Math.min(raw, BIN_SCORE_MAX);
  return usual;
}

function rebase(state: Novelty): void {
  const oldest = (state.count - RING + 1) % RING;
  const sum = state.sums[oldest]!;
  const squares = state.squareSums[oldest]!;
  for (let i = 0; i < RING; i++) {
    state.sums[i]! -= sum;
    state.squareSums[i]! -= squares;
  }
  state.sum -= sum;
  state.squares -= squares;
}

const FORMAT = 3;
/** The same without what the sensor has shown: it begins to count there, and its tails are of 2 % until the window has gone by. */
const FORMAT_UNSHOWN = 2;

/** The state as bytes, about 31 KB; {@link decodeNovelty} continues from them exactly. */
export function encodeNovelty(state: Novelty): Uint8Array {
  const parts: Uint8Array[] = [bytesOf(Float64Array.of(FORMAT, ...SCALARS.map((name) => state[name])))];
  for (const name of ARRAYS) parts.push(bytesOf(state[name]));
  parts.push(bytesOf(Float64Array.of(state.shown.days)));
  for (const name of SHOWN_ARRAYS) parts.push(bytesOf(state.shown[name]));
  for (const tail of state.tails) {
    parts.push(bytesOf(Float64Array.of(...TAIL_SCALARS.map((name) => tail[name]), tail.fitted ? 1 : 0)));
    for (const side of SIDES) {
      const { held, largest } = keptOf(tail, side);
      const { from, scale, shape, logShare } = tail[side];
      parts.push(Uint8Array.of(held.length, ...held), bytesOf(largest));
      parts.push(bytesOf(Float64Array.of(from, scale, shape, logShare)));
    }
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Reads what {@link encodeNovelty} wrote. Throws a RangeError for bytes that are none of its own. */
export function decodeNovelty(bytes: Uint8Array): Novelty {
  const state = createNovelty();
  let o = 0;
  const fill = <A extends Float64Array | Float32Array | Uint16Array | Uint8Array>(array: A): A => {
    if (o + array.byteLength > bytes.length)
      throw new RangeError(`a novelty state of ${bytes.length} bytes is too short`);
    bytesOf(array).set(bytes.subarray(o, o + array.byteLength));
    o += array.byteLength;
    return array;
  };
  const [format, ...scalars] = fill(new Float64Array(1 + SCALARS.length));
  if (format !== FORMAT && format !== FORMAT_UNSHOWN)
    throw new RangeError(`a novelty state of format ${format} is not readable here`);
  for (const [i, name] of SCALARS.entries()) state[name] = scalars[i]!;
  for (const name of ARRAYS) fill(state[name]);
  if (format === FORMAT) {
    state.shown.days = fill(new Float64Array(1))[0]!;
    for (const name of SHOWN_ARRAYS) fill(state.shown[name]);
  }
  for (const tail of state.tails) {
    const [...numbers] = fill(new Float64Array(TAIL_SCALARS.length + 1));
    for (const [i, name] of TAIL_SCALARS.entries()) tail[name] = numbers[i]!;
    tail.fitted = numbers.at(-1) === 1;
    const [high, low] = SIDES.map((side) => {
      const [blocks] = fill(new Uint8Array(1));
      const held = fill(new Uint8Array(blocks!));
      const largest = fill(new Float32Array(keptLength(held)));
      const [from, scale, shape, logShare] = fill(new Float64Array(4));
      Object.assign(tail[side] satisfies Tail, { from, scale, shape, logShare });
      return { held, largest };
    });
    restoreKept(tail, high!, low!);
  }
  if (o !== bytes.length) throw new RangeError(`a novelty state has ${bytes.length - o} bytes left over`);
  return state;
}

const SIDES = ["high", "low"] as const;
const SCALARS = ["count", "origin", "sum", "squares", "hourSum", "day", "quiet", "peak"] as const;
const ARRAYS = [
  "sums",
  "squareSums",
  "hourSums",
  "hourMean",
  "hourCount",
  "weekMean",
  "weekCount",
  "binMean",
  "binDays",
  "binToday",
] as const;
const SHOWN_ARRAYS = ["alarms", "quietTo", "peaks"] as const;
const TAIL_SCALARS = ["count", "block", "inBlock", "sinceFit", "mean", "deviation"] as const;

function bytesOf(array: Float64Array | Float32Array | Uint16Array | Uint8Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
