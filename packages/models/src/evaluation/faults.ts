/**
 * Injected faults: made signals of a plant, each with one fault of a known kind and size, watched as the anomaly service watches: the
 * novelty detector and the watchers raise, the classifier says what it was. Seeded, so that a figure can be had again.
 */
import { classifyEpisode, DECIDE_AFTER, type EpisodeSeverity, type EpisodeType } from "../classify.ts";
import { createNovelty, updateNovelty } from "../novelty.ts";
import { createRandom, type Random } from "../random.ts";
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
const START_MS = Date.UTC(2026, 2, 2);
const hourOf = (timestampMs: number): number => Math.floor(timestampMs / 3_600_000) % 24;

interface Fault {
  size: number;
  /** Readings it lasts. */
  lasts: number;
  /** The value under the fault, null where none comes; `k` counts from its begin. */
  at(value: number, k: number): number | null;
}

/** One signal with one fault, watched at a threshold. */
export function runFault(truth: EpisodeType, seed: number, theta: number): FaultCase {
  const random = createRandom(seed, FAULT_TYPES.indexOf(truth));
  const { next, sigma } = createSignal(random);
  const begin = HISTORY_READINGS + random.integer(HISTORY_SPREAD);
  const times: number[] = [];
  const values: number[] = [];
  const novelty = createNovelty();
  const watch = createWatch();
  const context = { rangeMin: null, rangeMax: null, expectedIntervalS: INTERVAL_S, ratePerMinuteMax: null };
  let fault: Fault | null = null;
  let falseAlarms = 0;
  let youngAlarms = 0;
  let alarmAt = -1;
  let beginAt = -1;
  const last = DECIDE_AFTER.at(-1)!;

  for (let slot = 0; ; slot++) {
    const timestampMs = START_MS + slot * INTERVAL_S * 1000;
    const usual = next(timestampMs);
    if (slot === begin) {
      fault = createFault(truth, random, sigma, values.at(-1)!);
      beginAt = values.length;
    }
    const k = slot - begin;
    const value = fault === null ? usual : fault.at(usual, k);
    if (value === null) continue;
    const gap = values.length > 0 && timestampMs - times.at(-1)! > gapThresholdMs(INTERVAL_S);
    times.push(timestampMs);
    values.push(value);
    const found = updateWatch(watch, { timestampMs, value }, context).length > 0;
    const { alarm } = updateNovelty(novelty, timestampMs / 1000, value, theta);
    const index = values.length - 1;
    if ((alarm || found || gap) && alarmAt < 0) {
      if (fault !== null) alarmAt = index;
      else if (index >= COUNTED_FROM) falseAlarms++;
      else youngAlarms++;
    }
    if (fault === null) continue;
    if (alarmAt >= 0 ? index >= alarmAt + last : k > fault.lasts + PATIENCE) break;
  }

  const verdicts =
    alarmAt < 0
      ? []
      : DECIDE_AFTER.map((after) =>
          classifyEpisode(times, values, alarmAt, alarmAt + after, {
            intervalS: INTERVAL_S,
            sentinels: SENTINELS,
            rangeMin: null,
            rangeMax: null,
            tolerance: null,
            lastCalibrationMs: null,
            hourOf,
          }),
        );
  const size = fault.size;
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
    usualDays: (begin - COUNTED_FROM) / DAY_READINGS,
  };
}

/** A daily rhythm, its second harmonic, a slow wander and noise; rounded as an instrument rounds. */
function createSignal(random: Random): { next(timestampMs: number): number; sigma: number } {
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
