/**
 * Injected faults: made signals of a plant, each with one fault of a known kind and size, watched as the anomaly service watches: the
 * novelty detector and the watchers raise, the classifier says what it was. Seeded, so that a figure can be had again.
 */
import assert from "node:assert/strict";
import { classifyEpisode, DECIDE_AFTER, type EpisodeSeverity, type EpisodeType } from "../classify.ts";
import { ALARMS_FROM, createNovelty, updateNovelty } from "../novelty.ts";
import { createRandom, type Random } from "../random.ts";
import { median, medianAbsoluteDeviation } from "../statistics.ts";
import { createWatch, gapThresholdMs, SENTINELS, updateWatch } from "../watchers.ts";

export const FAULT_TYPES: readonly EpisodeType[] = ["Spike", "Dropout", "Noise", "Calibration Error", "Drift"];

export interface FaultCase {
  readonly truth: EpisodeType;
  /** In deviations of what is left of the signal without its daily rhythm; of a Dropout, readings. */
  readonly size: number;
  /** What such a size deserves, by the same limits as the classifier's. */
  readonly severity: EpisodeSeverity;
  readonly detected: boolean;
  /** Readings from the fault's begin to its alarm. */
  readonly delay: number | null;
  /** What was decided {@link DECIDE_AFTER} so many readings; null: no name, or not detected. */
  readonly types: readonly (EpisodeType | null)[];
  readonly severities: readonly EpisodeSeverity[];
  readonly deviations: readonly number[];
  /** Alarms before the fault, from the third day on, and the days in which they could have come. */
  readonly falseAlarms: number;
  readonly usualDays: number;
  /** Alarms on the second day, the first on which the detector may speak: it has not yet seen that a day comes round. */
  readonly youngAlarms: number;
}

const INTERVAL_S = 300;
const DAY_READINGS = 288;
/** Eight to ten days of history, so that a weekend is in it. */
const HISTORY_READINGS = 8 * DAY_READINGS;
const HISTORY_SPREAD = 2 * DAY_READINGS;
/** On the second day alarms are counted apart. */
const COUNTED_FROM = 2 * DAY_READINGS;
/** A fault that has raised nothing by then has been missed. */
const PATIENCE = 100;
/** In a recording: at least so many readings before the fault, so many after its begin, and so far from what is known to be unusual. */
const RECORDED_HISTORY = 1_000;
const RECORDED_AFTER = 700;
const RECORDED_CLEAR_BEFORE = 50;
const RECORDED_CLEAR_AFTER = 300;
const PLACES_TRIED = 100;
const SIGMA_READINGS = 2_016;
const START_MS = Date.UTC(2026, 2, 2);
const hourOf = (timestampMs: number): number => Math.floor(timestampMs / 3_600_000) % 24;

interface Fault {
  size: number;
  /** Readings it lasts. */
  lasts: number;
  /** The value under the fault, null where none comes; `k` counts from its begin. */
  at(value: number, k: number): number | null;
}

/** A signal without faults, and where in it the fault begins. */
interface Background {
  readonly intervalS: number;
  /** Slot of the fault's begin. */
  readonly begin: number;
  /** Deviation of what is left of the signal without its daily rhythm, in its unit. */
  readonly sigma: number;
  /** Alarms of this slot and later ones count as false, until the fault. */
  readonly countedFrom: number;
  /** Each slot is asked for once, in order; null after the last. */
  next(slot: number): { timestampMs: number; value: number } | null;
}

/** A made signal with one fault, watched at a threshold. */
export function runFault(truth: EpisodeType, seed: number, theta: number): FaultCase {
  const random = createRandom(seed, FAULT_TYPES.indexOf(truth));
  const signal = createSignal(random);
  const background: Background = {
    intervalS: INTERVAL_S,
    begin: HISTORY_READINGS + random.integer(HISTORY_SPREAD),
    sigma: signal.sigma,
    countedFrom: COUNTED_FROM,
    next(slot) {
      const timestampMs = START_MS + slot * INTERVAL_S * 1000;
      return { timestampMs, value: signal.next(timestampMs) };
    },
  };
  return watchFault(truth, background, random, theta);
}

/** A recorded signal: milliseconds, ascending, and finite values. `unusual` are the readings that are known to be none of a fault's background. */
export interface Recording {
  readonly name: string;
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly unusual: readonly { readonly from: number; readonly to: number }[];
}

/** Shorter recordings have no room for history, fault and three decisions. */
export const RECORDING_READINGS_MIN = RECORDED_HISTORY + RECORDED_AFTER + 1;

/** A recorded signal with one fault put in, at a place where it is not known to be unusual; null where there is none. */
export function runRecordedFault(
  truth: EpisodeType,
  recording: Recording,
  seed: number,
  theta: number,
): FaultCase | null {
  const random = createRandom(seed, FAULT_TYPES.indexOf(truth));
  const { times, values } = recording;
  const places = values.length - RECORDED_AFTER - RECORDED_HISTORY;
  if (places <= 0) return null;
  let begin = -1;
  for (let tried = 0; tried < PLACES_TRIED && begin < 0; tried++) {
    const at = RECORDED_HISTORY + random.integer(places);
    if (
      !recording.unusual.some(({ from, to }) => from <= at + RECORDED_CLEAR_AFTER && at - RECORDED_CLEAR_BEFORE <= to)
    )
      begin = at;
  }
  if (begin < 0) return null;
  const background: Background = {
    intervalS: median(Float64Array.from({ length: begin }, (_, i) => times[i + 1]! - times[i]!)) / 1000,
    begin,
    sigma: recordedSigma(times, values, begin),
    countedFrom: ALARMS_FROM,
    next: (slot) => (slot < values.length ? { timestampMs: times[slot]!, value: values[slot]! } : null),
  };
  return watchFault(truth, background, random, theta);
}

/**
 * As for the made signals: what scatters about the hour's median, robustly, over a week of readings before the fault. A signal that mostly
 * stands still has no such deviation; one step of it stands in, as no fault below a sensor's resolution can be seen.
 */
function recordedSigma(times: Float64Array, values: Float64Array, begin: number): number {
  const from = Math.max(0, begin - SIGMA_READINGS);
  const byHour = Map.groupBy(
    Array.from({ length: begin - from }, (_, i) => from + i),
    (i) => hourOf(times[i]!),
  );
  const residuals = [...byHour.values()].flatMap((own) => {
    const centre = median(own.map((i) => values[i]!));
    return own.map((i) => values[i]! - centre);
  });
  const steps = Array.from({ length: begin - from - 1 }, (_, i) =>
    Math.abs(values[from + i + 1]! - values[from + i]!),
  ).filter((step) => step > 0);
  return Math.max(medianAbsoluteDeviation(residuals), steps.length === 0 ? 0 : median(steps));
}

function watchFault(truth: EpisodeType, background: Background, random: Random, theta: number): FaultCase {
  const { begin, sigma, intervalS, countedFrom } = background;
  const times: number[] = [];
  const values: number[] = [];
  const novelty = createNovelty();
  const watch = createWatch();
  const context = { rangeMin: null, rangeMax: null, expectedIntervalS: intervalS, ratePerMinuteMax: null };
  let fault: Fault | null = null;
  let falseAlarms = 0;
  let youngAlarms = 0;
  let alarmAt = -1;
  let alarmedAt = -Infinity;
  let beginAt = -1;
  const last = DECIDE_AFTER.at(-1)!;

  for (let slot = 0; ; slot++) {
    const usual = background.next(slot);
    if (usual === null) break;
    const { timestampMs } = usual;
    if (slot === begin) {
      fault = createFault(truth, random, sigma, values.at(-1)!);
      beginAt = values.length;
    }
    const k = slot - begin;
    const value = fault === null ? usual.value : fault.at(usual.value, k);
    if (value === null) continue;
    const gap = values.length > 0 && timestampMs - times.at(-1)! > gapThresholdMs(intervalS);
    times.push(timestampMs);
    values.push(value);
    const found = updateWatch(watch, { timestampMs, value }, context).length > 0;
    const { alarm } = updateNovelty(novelty, timestampMs / 1000, value, theta);
    const index = values.length - 1;
    if ((alarm || found || gap) && alarmAt < 0) {
      // What goes on is one alarm.
      const begins = index - alarmedAt > DECIDE_AFTER[0]!;
      alarmedAt = index;
      if (fault !== null) alarmAt = index;
      else if (begins && index >= countedFrom) falseAlarms++;
      else if (begins) youngAlarms++;
    }
    if (fault === null) continue;
    if (alarmAt >= 0 ? index >= alarmAt + last : k > fault.lasts + PATIENCE) break;
  }

  const verdicts =
    alarmAt < 0
      ? []
      : DECIDE_AFTER.map((after) =>
          classifyEpisode(times, values, alarmAt, Math.min(alarmAt + after, values.length - 1), {
            intervalS,
            sentinels: SENTINELS,
            rangeMin: null,
            rangeMax: null,
            tolerance: null,
            lastCalibrationMs: null,
            hourOf,
          }),
        );
  assert(fault !== null, "the signal ended before its fault began");
  const { size } = fault;
  return {
    truth,
    size,
    severity: severityOf(truth, size),
    detected: alarmAt >= 0,
    delay: alarmAt >= 0 ? alarmAt - beginAt : null,
    types: verdicts.map(({ type }) => type),
    severities: verdicts.map(({ severity }) => severity),
    deviations: verdicts.map(({ deviationSigmas }) => deviationSigmas),
    falseAlarms,
    youngAlarms,
    usualDays: ((begin - countedFrom) * intervalS) / 86_400,
  };
}

/** A daily rhythm, its second harmonic, a slow wander and noise; rounded as an instrument rounds. */
export function createSignal(random: Random): { next(timestampMs: number): number; sigma: number } {
  const level = 20 + 180 * random.float();
  const noise = 0.2 + random.float();
  const daily = noise * 6 * random.float();
  const second = noise * 2 * random.float();
  const phase = 2 * Math.PI * random.float();
  const persistence = 0.7 + 0.25 * random.float();
  const wanderSize = noise * 0.8 * random.float();
  const resolution = noise / (3 + 17 * random.float());
  const weekend = random.float() < 0.3 ? noise * 2 * random.float() : 0;
  let wander = 0;
  return {
    sigma: Math.hypot(noise, wanderSize),
    next(timestampMs) {
      const day = (2 * Math.PI * timestampMs) / 86_400_000;
      wander = persistence * wander + wanderSize * Math.sqrt(1 - persistence ** 2) * random.normal();
      const weekday = (Math.floor(timestampMs / 86_400_000) + 3) % 7;
      const value =
        level +
        daily * Math.sin(day + phase) +
        second * Math.sin(2 * day + phase) -
        (weekday >= 5 ? weekend : 0) +
        wander +
        noise * random.normal();
      return Math.round(value / resolution) * resolution;
    },
  };
}

function createFault(truth: EpisodeType, random: Random, sigma: number, lastValue: number): Fault {
  const sign = random.float() < 0.5 ? -1 : 1;
  const between = (low: number, high: number): number => low + (high - low) * random.float();
  if (truth === "Spike") {
    const size = between(6, 20);
    const lasts = 1 + random.integer(2);
    return { size, lasts, at: (value, k) => (k < lasts ? value + sign * size * sigma : value) };
  }
  if (truth === "Dropout") {
    const lasts = 8 + random.integer(33);
    const kind = random.integer(3);
    const dead = kind === 0 ? null : kind === 1 ? lastValue : -9999;
    return { size: lasts, lasts, at: (value, k) => (k < lasts ? dead : value) };
  }
  if (truth === "Noise") {
    const size = between(2, 6);
    const lasts = 40 + random.integer(80);
    return { size, lasts, at: (value, k) => (k < lasts ? value + size * sigma * random.normal() : value) };
  }
  if (truth === "Calibration Error") {
    const size = between(3, 15);
    return { size, lasts: 2 * DAY_READINGS, at: (value) => value + sign * size * sigma };
  }
  const size = between(6, 20);
  const lasts = 150 + random.integer(350);
  return { size, lasts, at: (value, k) => value + sign * size * sigma * Math.min(1, k / lasts) };
}

function severityOf(truth: EpisodeType, size: number): EpisodeSeverity {
  if (truth === "Dropout") return size >= 36 ? "Critical" : size >= 12 ? "High" : "Medium";
  // Noise is graded by twice its ratio; what is added to the usual makes √(1 + size²) of it.
  const deviation = truth === "Noise" ? 2 * Math.hypot(1, size) : size;
  const level = deviation >= 20 ? 3 : deviation >= 10 ? 2 : deviation >= 5 ? 1 : 0;
  return (["Low", "Medium", "High", "Critical"] as const)[truth === "Spike" ? Math.min(2, level) : level]!;
}

/** Spearman's rank correlation; ties get their mean rank. NaN where one side does not vary. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const ra = ranksOf(a);
  const rb = ranksOf(b);
  const centre = (a.length + 1) / 2;
  let cross = 0;
  let sa = 0;
  let sb = 0;
  for (let i = 0; i < a.length; i++) {
    cross += (ra[i]! - centre) * (rb[i]! - centre);
    sa += (ra[i]! - centre) ** 2;
    sb += (rb[i]! - centre) ** 2;
  }
  return cross / Math.sqrt(sa * sb);
}

function ranksOf(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = values.map(() => 0);
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]!] === values[order[from]!]) to++;
    for (let i = from; i <= to; i++) ranks[order[i]!] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return ranks;
}
