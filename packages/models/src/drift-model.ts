/** A sensor's drift model: the regression and the blend side by side, which of them did better in the past, and how to forecast by either. */
import { ArtifactError } from "./artifact.ts";
import { BLEND_HOURS_MIN, forecastBlend, HORIZON_HOURS_MAX } from "./drift-blend.ts";
import { percentOf, valueOf } from "./drift-percent.ts";
import {
  DRIFT_READINGS_MIN,
  fitDriftRegression,
  rollDriftRegression,
  type DriftRegression,
} from "./drift-regression.ts";
import { forecastTrend, TREND_CONFIDENCE_MAX } from "./drift-trend.ts";
import { clipSpikes, recentOf } from "./spikes.ts";
import { quantile } from "./statistics.ts";

export { DRIFT_READINGS_MIN, HORIZON_HOURS_MAX };

export type DriftMethod = "linear_regression" | "blend" | "trend";

/** What a model is fitted on: hourly means, or the readings themselves where there are too few hours. */
export interface DriftTraining {
  readonly timesMs: Float64Array;
  /** In the sensor's unit. */
  readonly values: Float64Array;
  readonly cadence: "hour" | "reading";
  readonly baseline: number;
  readonly span: number;
  hourOfDay(timestampMs: number): number;
}

export interface DriftModel {
  readonly regression: DriftRegression;
  readonly cadence: "hour" | "reading";
  /** Where `time_since_start` begins. */
  readonly startMs: number;
  /** Who answers when nobody is asked for: the better by back-test. */
  readonly preferred: "linear_regression" | "blend";
  readonly samples: number;
}

export interface DriftMetrics {
  /** Mean absolute error of what answers, and of "as it is now", over all hours up to the horizon, percent of drift. */
  readonly mae: number | null;
  readonly persistence_mae: number | null;
  /** 1 − mae / persistence_mae. */
  readonly skill: number | null;
  /** Share of the hold-out inside the 90 % band. */
  readonly coverage: number | null;
  readonly horizon_hours: number | null;
  readonly samples: number;
  readonly reason: string | null;
  readonly by_method: Readonly<Record<string, { mae: number; skill: number | null; coverage: number }>>;
}

export interface DriftHistory {
  readonly hourlyTimesMs: Float64Array;
  /** In the sensor's unit; hours without readings are left out. */
  readonly hourlyMeans: Float64Array;
  readonly lastReadingMs: number;
  readonly baseline: number;
  readonly span: number;
  hourOfDay(timestampMs: number): number;
}

export interface DriftPoint {
  readonly timestampMs: number;
  /** Percent. */
  readonly drift: number;
  /** In the sensor's unit, with its 90 % band. */
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
  /** 0 to 1: how small the band is against what the sensor usually does. */
  readonly confidence: number;
}

export interface DriftForecast {
  readonly method: DriftMethod;
  readonly points: DriftPoint[];
  readonly fallbackReason: "model_missing" | "prediction_error" | "insufficient_history" | null;
  /** Percent a day, with its 90 % interval; null below two hours of history. */
  readonly slope: { readonly perDay: number; readonly low: number; readonly high: number } | null;
  /** Null where no tolerance was given. */
  readonly timeToTolerance: TimeToTolerance | null;
}

/**
 * Hours until the drift leaves the tolerance: the earliest that is plausible (one in ten is earlier), the expected, the latest that is plausible;
 * 0 where it is outside now, null where it is not within {@link HORIZON_HOURS_MAX}.
 */
export interface TimeToTolerance {
  readonly t10: number | null;
  readonly t50: number | null;
  readonly t90: number | null;
}

const HOUR_MS = 3_600_000;
/** As far back as the blend looks, and a little. */
const HISTORY_HOURS_MAX = 1_440;
/** The first part that a measured model is fitted on. */
const TRAINING_SHARE = 0.8;
const MEASURED_HORIZON_HOURS = 24;
const ORIGIN_STEP_HOURS = 12;
/** 90 % of a normal distribution lie within so many deviations. */
const NORMAL_90 = 1.645;
/** A steady drift of two days reaches seven times its range in a fortnight; ten times, and a percent where nothing moved, is beyond belief. */
const RUN_AWAY_RANGES = 10;
const RUN_AWAY_PERCENT = 1;

/** Fits the regression, and finds out whether it or the blend did better. Throws a RangeError below {@link DRIFT_READINGS_MIN} values. */
export function fitDriftModel(training: DriftTraining, metrics: DriftMetrics = measureDrift(training)): DriftModel {
  const { timesMs, cadence } = training;
  const drift = driftSeries(training);
  const startMs = timesMs[0]!;
  const hours = timesMs.map((timeMs) => (timeMs - startMs) / HOUR_MS);
  const regression = fitDriftRegression(hours, drift);
  const model: DriftModel = { regression, cadence, startMs, preferred: "linear_regression", samples: drift.length };
  const { by_method: measured } = metrics;
  const blend = measured["blend"];
  const own = measured["linear_regression"];
  return {
    ...model,
    preferred: blend !== undefined && (own === undefined || blend.mae < own.mae) ? "blend" : "linear_regression",
  };
}

/** What a model of the first four fifths is worth on the rest. What cannot be measured is null, with the reason. */
export function measureDrift(training: DriftTraining): DriftMetrics {
  const count = training.values.length;
  const cut = Math.floor(count * TRAINING_SHARE);
  if (cut < DRIFT_READINGS_MIN)
    return unmeasured(`the first ${100 * TRAINING_SHARE} % are ${cut} values, and a model needs ${DRIFT_READINGS_MIN}`);
  const drift = driftSeries(training);
  const startMs = training.timesMs[0]!;
  const hours = training.timesMs.map((timeMs) => (timeMs - startMs) / HOUR_MS);
  const regression = fitDriftRegression(hours.subarray(0, cut), drift.subarray(0, cut));
  if (training.cadence === "reading") return oneStepAhead(regression, hours, drift, cut);
  const horizon = Math.min(MEASURED_HORIZON_HOURS, count - cut);
  const errors: Record<"linear_regression" | "blend", { error: number; inside: boolean }[]> = {
    linear_regression: [],
    blend: [],
  };
  const persistence: number[] = [];
  for (let origin = cut; origin + horizon <= count; origin += ORIGIN_STEP_HOURS) {
    const now = drift[origin - 1]!;
    const past = drift.subarray(Math.max(0, origin - HISTORY_HOURS_MAX), origin);
    const rolled = rollDriftRegression(
      regression,
      recentOf(past, regression.window),
      hours.subarray(origin, origin + horizon),
    );
    const blend =
      past.length < BLEND_HOURS_MIN
        ? null
        : forecastBlend(past, training.hourOfDay(training.timesMs[origin - past.length]!), horizon);
    for (let ahead = 0; ahead < horizon; ahead++) {
      const truth = drift[origin + ahead]!;
      persistence.push(Math.abs(truth - now));
      const off = Math.abs(truth - rolled[ahead]!);
      errors.linear_regression.push({
        error: off,
        inside: off <= NORMAL_90 * regression.deviation * Math.sqrt(ahead + 1),
      });
      if (blend === null) continue;
      const blendOff = Math.abs(truth - blend.path[ahead]!);
      errors.blend.push({ error: blendOff, inside: blendOff <= blend.half[ahead]! });
    }
  }
  return metricsOf(errors, persistence, horizon);
}

function oneStepAhead(
  regression: DriftRegression,
  hours: Float64Array,
  drift: Float64Array,
  cut: number,
): DriftMetrics {
  const errors: { error: number; inside: boolean }[] = [];
  const persistence: number[] = [];
  for (let next = cut; next < drift.length; next++) {
    const [predicted] = rollDriftRegression(
      regression,
      recentOf(drift.subarray(0, next), regression.window),
      hours.subarray(next, next + 1),
    );
    const error = Math.abs(drift[next]! - predicted!);
    errors.push({ error, inside: error <= NORMAL_90 * regression.deviation });
    persistence.push(Math.abs(drift[next]! - drift[next - 1]!));
  }
  return metricsOf({ linear_regression: errors, blend: [] }, persistence, null);
}

function metricsOf(
  errors: Record<string, { error: number; inside: boolean }[]>,
  persistence: readonly number[],
  horizon: number | null,
): DriftMetrics {
  if (persistence.length === 0) return unmeasured("the hold-out is shorter than a forecast");
  const base = average(persistence);
  const measured = Object.entries(errors)
    .filter(([, own]) => own.length === persistence.length)
    .map(([method, own]) => {
      const mae = average(own.map(({ error }) => error));
      return [
        method,
        {
          mae,
          skill: base > 0 ? 1 - mae / base : null,
          coverage: own.filter(({ inside }) => inside).length / own.length,
        },
      ] as const;
    });
  const [, best] = measured.reduce((least, one) => (one[1].mae < least[1].mae ? one : least));
  return {
    mae: best.mae,
    persistence_mae: base,
    skill: best.skill,
    coverage: best.coverage,
    horizon_hours: horizon,
    samples: persistence.length,
    reason: base > 0 ? null : "the hold-out did not move, so nothing can be better than to say so",
    by_method: Object.fromEntries(measured),
  };
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const unmeasured = (reason: string): DriftMetrics => ({
  mae: null,
  persistence_mae: null,
  skill: null,
  coverage: null,
  horizon_hours: null,
  samples: 0,
  reason,
  by_method: {},
});

const driftSeries = ({ values, baseline, span }: Pick<DriftTraining, "values" | "baseline" | "span">): Float64Array =>
  values.map((value) => percentOf(value, baseline, span));

/**
 * Forecasts floor(horizon / step) points, the first one step after the last reading.
 *
 * @param model null: none in force; a straight line answers
 * @param ask hours; horizon at most {@link HORIZON_HOURS_MAX}; `method`, where one is asked for
 */
export function forecastDrift(
  model: DriftModel | null,
  history: DriftHistory,
  ask: {
    horizonHours: number;
    stepHours: number;
    method?: "linear_regression" | "blend" | undefined;
    /** In the sensor's unit, round its baseline. Then confidence is how much of it the band leaves. */
    tolerance?: number | null;
  },
): DriftForecast {
  const tolerance =
    ask.tolerance === undefined || ask.tolerance === null || !(ask.tolerance > 0)
      ? null
      : percentOf(history.baseline + ask.tolerance, history.baseline, history.span);
  const hours = tolerance === null ? Math.ceil(Math.min(ask.horizonHours, HORIZON_HOURS_MAX)) : HORIZON_HOURS_MAX;
  const series = hourlyGrid(history);
  const forecast = choose(model, history, series, hours, ask.method);
  const reach = tolerance ?? rangeOf(series.drift);
  const now = recentOf(series.drift, 1)[0] ?? 0;
  const count = Math.floor(ask.horizonHours / ask.stepHours + 1e-9);
  const points = Array.from({ length: count }, (_, k) => {
    const ahead = (k + 1) * ask.stepHours;
    const drift = between(forecast.path, ahead, now);
    const half = between(forecast.half, ahead, forecast.half[0] ?? 0);
    const sure = reach > 0 ? Math.max(0, Math.min(1, 1 - half / reach)) : half === 0 ? 1 : 0;
    const edges = [
      valueOf(drift - half, history.baseline, history.span),
      valueOf(drift + half, history.baseline, history.span),
    ];
    return {
      timestampMs: history.lastReadingMs + ahead * HOUR_MS,
      drift,
      value: valueOf(drift, history.baseline, history.span),
      lower: Math.min(...edges),
      upper: Math.max(...edges),
      confidence: Math.min(sure, forecast.confidenceMax),
    };
  });
  // Numbers of 10³⁰⁰ have no mean, and so nothing is ahead of them.
  if (!points.every(({ value, lower, upper }) => [value, lower, upper].every(Number.isFinite)))
    return {
      method: forecast.method,
      points: [],
      fallbackReason: "prediction_error",
      slope: null,
      timeToTolerance: null,
    };
  return {
    method: forecast.method,
    points,
    fallbackReason: forecast.fallbackReason,
    slope: forecast.slope,
    timeToTolerance: tolerance === null || forecast.slope === null ? null : timeTo(tolerance, forecast),
  };
}

/** The daily rhythm is no leaving: the path is smoothed over a day. */
function timeTo(tolerance: number, { path, half }: Pick<Chosen, "path" | "half">): TimeToTolerance {
  const size = Float64Array.from(path, (_, f) => {
    const day = path.subarray(Math.max(0, f - 12), Math.min(path.length, f + 12));
    return Math.abs(average([...day]));
  });
  const first = (leaves: (f: number) => boolean): number | null => {
    const f = size.findIndex((__, at) => leaves(at));
    // The path begins an hour ahead; what is outside by then is so already.
    return f < 0 ? null : f === 0 ? 0 : f + 1;
  };
  return {
    t10: first((f) => size[f]! + half[f]! > tolerance),
    t50: first((f) => size[f]! > tolerance),
    t90: first((f) => size[f]! - half[f]! > tolerance),
  };
}

interface Chosen {
  method: DriftMethod;
  path: Float64Array;
  half: Float64Array;
  confidenceMax: number;
  fallbackReason: DriftForecast["fallbackReason"];
  slope: DriftForecast["slope"];
}

function choose(
  model: DriftModel | null,
  history: DriftHistory,
  series: Series,
  ahead: number,
  asked: "linear_regression" | "blend" | undefined,
): Chosen {
  const { drift } = series;
  if (model === null) return straight(series, ahead, "model_missing");
  const method = asked ?? model.preferred;
  const needed = method === "blend" ? BLEND_HOURS_MIN : model.regression.window;
  if (drift.length < needed) return straight(series, ahead, "insufficient_history");
  if (method === "blend") {
    const { path, half, ...trend } = forecastBlend(drift, history.hourOfDay(series.firstMs), ahead);
    return { method, path, half, confidenceMax: 1, fallbackReason: null, slope: slopeOf(trend) };
  }
  const { regression, startMs } = model;
  const from = (history.lastReadingMs - startMs) / HOUR_MS;
  const path = rollDriftRegression(
    regression,
    recentOf(drift, regression.window),
    Float64Array.from({ length: ahead }, (_, f) => from + f + 1),
  );
  // An autoregression with a root outside the unit circle runs away; that is no prediction.
  if (runsAway(path, drift)) return straight(series, ahead, "prediction_error");
  const half = path.map((_, f) => NORMAL_90 * regression.deviation * Math.sqrt(f + 1));
  return { method, path, half, confidenceMax: 1, fallbackReason: null, slope: straightSlope(drift) };
}

function runsAway(path: Float64Array, drift: Float64Array): boolean {
  const usual = clipSpikes(drift);
  const low = Math.min(...usual);
  const high = Math.max(...usual);
  const most = RUN_AWAY_RANGES * (high - low) + RUN_AWAY_PERCENT;
  return !path.every((value) => value > low - most && value < high + most);
}

function straight({ drift }: Series, ahead: number, reason: Chosen["fallbackReason"]): Chosen {
  const common = { method: "trend" as const, confidenceMax: TREND_CONFIDENCE_MAX };
  if (drift.length < 2) {
    const path = new Float64Array(ahead).fill(drift.at(-1) ?? 0);
    return {
      ...common,
      path,
      half: new Float64Array(ahead),
      confidenceMax: 0,
      fallbackReason: "insufficient_history",
      slope: null,
    };
  }
  const { path, half, ...trend } = forecastTrend(
    drift.map((_, i) => i),
    drift,
    ahead,
  );
  return { ...common, path, half, fallbackReason: reason, slope: slopeOf(trend) };
}

const slopeOf = (trend: { slopePerDay: number; slopeLow: number; slopeHigh: number }) => ({
  perDay: trend.slopePerDay,
  low: trend.slopeLow,
  high: trend.slopeHigh,
});

/** The regression's own weights are no slope; a robust line through the history is. */
function straightSlope(drift: Float64Array): DriftForecast["slope"] {
  if (drift.length < 2) return null;
  return slopeOf(
    forecastTrend(
      drift.map((_, i) => i),
      drift,
      1,
    ),
  );
}

interface Series {
  /** Hour by hour, without holes. */
  drift: Float64Array;
  firstMs: number;
}

/** Fills hours without readings by a straight line between their neighbours, and keeps the newest that the methods look back on. */
function hourlyGrid({ hourlyTimesMs: times, hourlyMeans: means, baseline, span }: DriftHistory): Series {
  if (times.length === 0) return { drift: new Float64Array(0), firstMs: 0 };
  const lastHour = Math.floor(times.at(-1)! / HOUR_MS);
  const firstHour = Math.max(Math.floor(times[0]! / HOUR_MS), lastHour - HISTORY_HOURS_MAX + 1);
  const drift = new Float64Array(lastHour - firstHour + 1);
  let i = 0;
  for (let hour = firstHour; hour <= lastHour; hour++) {
    while (i + 1 < times.length && Math.floor(times[i + 1]! / HOUR_MS) <= hour) i++;
    const next = Math.min(i + 1, times.length - 1);
    const from = Math.floor(times[i]! / HOUR_MS);
    const to = Math.floor(times[next]! / HOUR_MS);
    const share = to > from ? Math.max(0, hour - from) / (to - from) : 0;
    drift[hour - firstHour] = percentOf(means[i]! + share * (means[next]! - means[i]!), baseline, span);
  }
  return { drift, firstMs: firstHour * HOUR_MS };
}

/** The path at a number of hours, straight between whole ones; `now` is what it starts from. */
function between(path: Float64Array, hours: number, now: number): number {
  const below = Math.floor(hours);
  const low = below === 0 ? now : path[Math.min(below, path.length) - 1]!;
  const high = path[Math.min(below, path.length - 1)]!;
  return low + (hours - below) * (high - low);
}

/** What the sensor usually does: the distance of its 5 % and 95 % points, percent. */
const rangeOf = (drift: Float64Array): number => (drift.length < 2 ? 0 : quantile(drift, 0.95) - quantile(drift, 0.05));

const FORMAT = 1;

/** The model as the payload of an artifact, below a kilobyte of JSON. */
export function encodeDriftModel(model: DriftModel): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...model }));
}

/** Reads what {@link encodeDriftModel} wrote. Throws an ArtifactError for another format, a RangeError for what is no such model. */
export function decodeDriftModel(payload: Uint8Array): DriftModel {
  const { format, ...model } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)) as DriftModel & {
    format: unknown;
  };
  if (format !== FORMAT)
    throw new ArtifactError(
      "model_incompatible",
      `the drift model has format ${String(format)}, and this code reads format ${FORMAT}`,
    );
  const { regression } = model;
  const numbers = [
    ...(regression?.weights ?? []),
    regression?.intercept,
    regression?.window,
    regression?.deviation,
    model.startMs,
    model.samples,
  ];
  if (
    numbers.length !== 9 ||
    !numbers.every(Number.isFinite) ||
    !["linear_regression", "blend"].includes(model.preferred)
  )
    throw new RangeError("a drift model lacks its numbers");
  return model;
}
