/**
 * Following one sensor's drift: a fold over its good readings in order. Plain values in and out; the state is stored
 * with every batch, so it holds little: two times 24 hourly means, the hour that is open, and a sample of values.
 */
import { baselineOf, percentOf } from "@calibration/models/drift-percent.ts";
import { quantile } from "@calibration/models/statistics.ts";

const HOUR_MS = 3_600_000;
const HOURS = 24;
/** Below this many good readings a drift would be noise with a percent sign. */
export const READINGS_MIN = 10;
/** The 5 % and 95 % points of a hundred values are known well enough for a span. */
const SAMPLE_MAX = 128;
/** A level is left only when the drift falls below this share of it, lest noise cross it again and again. */
const HYSTERESIS = 0.9;

export interface Following {
  /** Of the readings of any quality; what comes later for an instant is a repeat. */
  newestMs: number;
  readings: number;
  /** The calibration that the baseline follows; null: none. */
  calibratedAtMs: number | null;
  first: number[];
  last: number[];
  open: { hourMs: number; sum: number; count: number } | null;
  sample: number[];
  stride: number;
  level: number;
}

export interface ClosedHour {
  hourMs: number;
  mean: number;
  count: number;
}

export interface Followed {
  drift: number | null;
  baseline: number | null;
  span: number;
  closed: ClosedHour | null;
  crossed: { level: number; direction: "up" | "down" } | null;
}

export interface FollowingContext {
  rangeMin: number | null;
  rangeMax: number | null;
  /** Set by a person; it goes before the one that was measured. */
  baseline: number | null;
  levels: readonly number[];
}

export const createFollowing = (): Following => ({
  newestMs: -Infinity,
  readings: 0,
  calibratedAtMs: null,
  first: [],
  last: [],
  open: null,
  sample: [],
  stride: 1,
  level: 0,
});

/** Begins a new baseline: a calibration says that what was before it no longer counts. */
export function restart(
  state: Following,
  calibratedAtMs: number,
  firstSince: readonly number[],
  lastSince: readonly number[],
): void {
  state.calibratedAtMs = calibratedAtMs;
  state.first = firstSince.slice(0, HOURS);
  state.last = lastSince.slice(-HOURS);
  if (state.open !== null && calibratedAtMs > state.open.hourMs) state.open = null;
}

/** Takes in the next good reading; it must be newer than the newest. What is not good moves `newestMs` only. */
export function follow(state: Following, timestampMs: number, value: number, context: FollowingContext): Followed {
  const hourMs = Math.floor(timestampMs / HOUR_MS) * HOUR_MS;
  const closed = state.open !== null && state.open.hourMs !== hourMs ? closeHour(state, state.open) : null;
  state.open ??= { hourMs, sum: 0, count: 0 };
  state.open.sum += value;
  state.open.count++;
  state.newestMs = timestampMs;
  sampleValue(state, value);
  state.readings++;

  const span = spanOf(state, context);
  const baseline = context.baseline ?? measuredBaseline(state);
  if (state.readings < READINGS_MIN || baseline === null) return { drift: null, baseline, span, closed, crossed: null };
  const drift = percentOf(medianBeside(state.last, HOURS - 1, state.open), baseline, span);
  return { drift, baseline, span, closed, crossed: crossLevel(state, drift, context.levels) };
}

/** The median of the first 24 hourly means there are; null before the first. */
export function measuredBaseline(state: Following): number | null {
  // Once a day of hours is closed the open one no longer counts, and nothing changes until a calibration.
  if (state.first.length >= HOURS) {
    const known = baselines.get(state.first);
    if (known !== undefined) return known;
    const measured = baselineOf(state.first);
    baselines.set(state.first, measured);
    return measured;
  }
  if (state.open === null) return state.first.length === 0 ? null : baselineOf(state.first);
  return medianBeside(state.first, HOURS, state.open);
}

const baselines = new WeakMap<readonly number[], number>();

/** The closed hours that count beside the open one, ascending, by the list they came from; it may have grown since. */
const ascending = new WeakMap<readonly number[], { of: number; sorted: Float64Array }>();

/** The median of the last so many closed hours and the open one, of which only that one moves: found by its place among the others. */
function medianBeside(closed: readonly number[], count: number, open: NonNullable<Following["open"]>): number {
  let known = ascending.get(closed);
  if (known?.of !== closed.length) {
    known = { of: closed.length, sorted: Float64Array.from(closed.slice(-count)).sort() };
    ascending.set(closed, known);
  }
  const { sorted } = known;
  const moving = open.sum / open.count;
  const at = (place: number): number => {
    // Of the others, those before it that are smaller than the moving one stay where they are.
    if (place < sorted.length && sorted[place]! < moving) return sorted[place]!;
    return place > 0 && sorted[place - 1]! > moving ? sorted[place - 1]! : moving;
  };
  const position = sorted.length / 2;
  const below = Math.floor(position);
  const low = at(below);
  return low + (position - below) * (at(Math.min(below + 1, sorted.length)) - low);
}

function closeHour(state: Following, open: NonNullable<Following["open"]>): ClosedHour {
  const mean = open.sum / open.count;
  if (state.first.length < HOURS) state.first.push(mean);
  state.last = [...state.last, mean].slice(-HOURS);
  state.open = null;
  return { hourMs: open.hourMs, mean, count: open.count };
}

/** Every `stride`-th value; when the sample is full, every second of it goes and the stride doubles. */
function sampleValue(state: Following, value: number): void {
  if (state.readings % state.stride !== 0) return;
  state.sample.push(value);
  if (state.sample.length < SAMPLE_MAX) return;
  state.sample = state.sample.filter((_, index) => index % 2 === 0);
  state.stride *= 2;
}

function spanOf(state: Following, { rangeMin, rangeMax }: FollowingContext): number {
  if (rangeMin !== null && rangeMax !== null) return rangeMax - rangeMin;
  // A full sample gives up half of itself for a new list; until then its length tells whether it has changed.
  const known = spans.get(state.sample);
  if (known?.of === state.sample.length) return known.span;
  const span = quantile(state.sample, 0.95) - quantile(state.sample, 0.05);
  spans.set(state.sample, { of: state.sample.length, span });
  return span;
}

const spans = new WeakMap<readonly number[], { of: number; span: number }>();

function crossLevel(state: Following, drift: number, levels: readonly number[]): Followed["crossed"] {
  const size = Math.abs(drift);
  const reached = Math.max(0, ...levels.filter((level) => size >= level));
  if (reached > state.level) {
    state.level = reached;
    return { level: reached, direction: "up" };
  }
  if (state.level === 0 || size >= state.level * HYSTERESIS) return null;
  const left = state.level;
  state.level = Math.max(0, ...levels.filter((level) => level < left && size >= level * HYSTERESIS));
  return { level: left, direction: "down" };
}
