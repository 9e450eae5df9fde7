/**
 * The blend: hour profile, robust trends, the level of the last days and the last value, weighted for each horizon by how well each
 * did in rolling-origin back-tests over the sensor's own history, with conformal 90 % bands from the blend's own errors there.
 * Made for this platform; `npm run evaluate -- --drift` measures it beside what could be reached at all.
 */
import { recentOf } from "./spikes.ts";
import { median } from "./statistics.ts";
import { theilSen } from "./theil-sen.ts";

/** Hourly values; below six days there is no profile to speak of. */
export const BLEND_HOURS_MIN = 144;
export const HORIZON_HOURS_MAX = 336;
/** The horizons that are measured; between them weights and bands are interpolated. */
const HORIZONS: readonly number[] = [1, 6, 24, 72, 168, 336];
export const COVERAGE = 0.9;
const ORIGIN_STEP_HOURS = 12;
/** Fewer back-test errors than this at a horizon are no measure. */
const ERRORS_MIN = 20;
/**
 * Days that each candidate's slope and level are taken from. A level of three days follows what has just begun, one of the whole month
 * stands firm where there is only noise: the line of a month with its own level is the one addition that was worth its place on three
 * different kinds of histories (1 % of skill a day ahead).
 */
const TRENDS: readonly { slopeDays: number; levelDays: number }[] = [
  { slopeDays: 28, levelDays: 3 },
  { slopeDays: 10, levelDays: 3 },
  { slopeDays: 0, levelDays: 3 },
  { slopeDays: 28, levelDays: 28 },
];
/** And two without any fit: the last value with what the hour changes, and the last value as it is. */
const CANDIDATES = TRENDS.length + 2;
/** Weights fall with this power of the error: 4 wavers between good and bad candidates, 8 follows chance. */
const WEIGHT_POWER = 6;
const RESIDUAL_HOURS = 48;
const SHRINK_ERRORS = 4;

export interface BlendForecast {
  /** Hour by hour from the first after the last value, percent. */
  readonly path: Float64Array;
  /** Half the width of the 90 % band, percent. */
  readonly half: Float64Array;
  /** Percent a day, with its 90 % interval. */
  readonly slopePerDay: number;
  readonly slopeLow: number;
  readonly slopeHigh: number;
  /** Mean absolute errors in the back-test at 24 hours: the blend's, and that of "as it is now". Null where not measured. */
  readonly backtest: { readonly error: number; readonly persistence: number; readonly samples: number } | null;
}

/** Forecasts `horizonHours` of hourly drift values. Throws a RangeError below {@link BLEND_HOURS_MIN} of them. */
export function forecastBlend(
  drift: Float64Array,
  firstHourOfDay: number,
  horizonHours: number = HORIZON_HOURS_MAX,
): BlendForecast {
  const n = drift.length;
  if (n < BLEND_HOURS_MIN) throw new RangeError(`a blend needs ${BLEND_HOURS_MIN} hours, and got ${n}`);
  const ahead = Math.min(HORIZON_HOURS_MAX, Math.max(24, horizonHours));
  const now = candidatePaths(drift, firstHourOfDay, n, ahead);
  const measured = backtest(drift, firstHourOfDay, ahead);
  const { path, half } = blend(now.paths, measured, ahead, spreadOf(drift));
  const day = measured.find(({ horizon }) => horizon === 24);
  return {
    path,
    half,
    slopePerDay: now.trend.slope * 24,
    slopeLow: now.trend.low * 24,
    slopeHigh: now.trend.high * 24,
    backtest: day === undefined ? null : { error: day.error, persistence: day.persistence, samples: day.samples },
  };
}

interface Candidates {
  paths: Float64Array[];
  trend: { slope: number; low: number; high: number };
}

function candidatePaths(drift: Float64Array, firstHour: number, end: number, ahead: number): Candidates {
  const days = Math.floor(end / 24);
  const offset = end - days * 24;
  const profile = hourProfile(drift, firstHour, offset, days);
  const at = (index: number): number => profile[(firstHour + index) % 24]!;
  const middays = Float64Array.from({ length: days }, (_, day) => offset + day * 24 + 11.5);
  const daily = Float64Array.from({ length: days }, (_, day) =>
    median(Float64Array.from({ length: 24 }, (__, k) => drift[offset + day * 24 + k]! - at(offset + day * 24 + k))),
  );
  let trend = { slope: 0, low: 0, high: 0 };
  const paths = TRENDS.map(({ slopeDays, levelDays }, candidate) => {
    const used = Math.min(days, slopeDays);
    let slope = 0;
    if (used >= 3) {
      const fitted = theilSen(middays.subarray(days - used), daily.subarray(days - used));
      slope = shrunk(fitted);
      if (candidate === 0) trend = { slope, low: fitted.low, high: fitted.high };
    }
    const level = median(
      Float64Array.from(
        { length: Math.min(days, levelDays) },
        (_, back) => daily[days - 1 - back]! - slope * (middays[days - 1 - back]! - (end - 1)),
      ),
    );
    return trendPath(drift, { end, ahead, slope, level, at });
  });
  const last = recentOf(drift.subarray(0, end), 1)[0]!;
  paths.push(
    Float64Array.from({ length: ahead }, (_, f) => last + at(end + f) - at(end - 1)),
    new Float64Array(ahead).fill(last),
  );
  return { paths, trend };
}

/**
 * A slope that is not distinguishable from none is none: halved at four standard errors, as Kendall's variance takes the days for independent,
 * and those of a sensor that wanders are not.
 */
function shrunk({ slope, low, high }: { slope: number; low: number; high: number }): number {
  const standardError = Math.max((high - low) / 3.29, 1e-12);
  const z2 = (slope / standardError) ** 2;
  return (slope * z2) / (z2 + SHRINK_ERRORS ** 2);
}

function hourProfile(drift: Float64Array, firstHour: number, offset: number, days: number): Float64Array {
  const middles = Float64Array.from({ length: days }, (_, day) =>
    median(drift.subarray(offset + day * 24, offset + day * 24 + 24)),
  );
  const profile = new Float64Array(24);
  for (let k = 0; k < 24; k++)
    profile[(firstHour + offset + k) % 24] = median(
      Float64Array.from({ length: days }, (_, day) => drift[offset + day * 24 + k]! - middles[day]!),
    );
  const mean = profile.reduce((sum, value) => sum + value, 0) / 24;
  return profile.map((value) => value - mean);
}

/** Level and slope, the profile, and what is left of the last two days' residual, dying out as it always did. */
function trendPath(
  drift: Float64Array,
  {
    end,
    ahead,
    slope,
    level,
    at,
  }: { end: number; ahead: number; slope: number; level: number; at: (index: number) => number },
): Float64Array {
  const residual = Float64Array.from({ length: RESIDUAL_HOURS }, (_, q) => {
    const i = end - RESIDUAL_HOURS + q;
    return drift[i]! - at(i) - level - slope * (i - (end - 1));
  });
  const cut = 3 * median(residual.map(Math.abs)) + 1e-9;
  const clipped = residual.map((r) => Math.max(-cut, Math.min(cut, r)));
  const lag = (k: number): number => {
    let sum = 0;
    for (let q = k; q < RESIDUAL_HOURS; q++) sum += clipped[q]! * clipped[q - k]!;
    return sum / (RESIDUAL_HOURS - k);
  };
  const [c0, c1, c2] = [lag(0), lag(1), lag(2)];
  const rho = c1 > 0.1 * c0 ? Math.min(0.98, Math.max(0, c2 / c1)) : 0;
  const gain = rho > 0 ? Math.min(1, Math.max(0, c1 / (rho * c0))) : 0;
  const rest = gain * median(clipped.subarray(RESIDUAL_HOURS - 3));
  let decay = 1;
  return Float64Array.from({ length: ahead }, (_, f) => {
    decay *= rho;
    return level + slope * (f + 1) + at(end + f) + rest * decay;
  });
}

interface Measured {
  horizon: number;
  weights: Float64Array;
  half: number;
  error: number;
  persistence: number;
  samples: number;
}

/** Pretends to stand at every twelfth hour of the last two thirds, and looks what each candidate would have said. */
function backtest(drift: Float64Array, firstHour: number, ahead: number): Measured[] {
  const n = drift.length;
  const horizons = HORIZONS.filter((horizon) => horizon <= ahead || horizon <= 24);
  const errors = horizons.map(() => ({
    predicted: Array.from({ length: CANDIDATES }, () => [] as number[]),
    truth: [] as number[],
  }));
  for (let origin = Math.max(BLEND_HOURS_MIN, Math.floor(n / 3)); origin < n - 1; origin += ORIGIN_STEP_HOURS) {
    const { paths } = candidatePaths(drift, firstHour, origin, Math.min(ahead, n - origin));
    horizons.forEach((horizon, k) => {
      const step = Math.max(1, Math.floor(horizon / 12));
      for (let g = Math.max(1, Math.floor(horizon * 0.8)); g <= Math.min(ahead, Math.floor(horizon * 1.2)); g += step) {
        if (origin + g - 1 >= n) break;
        paths.forEach((path, c) => errors[k]!.predicted[c]!.push(path[g - 1]!));
        errors[k]!.truth.push(drift[origin + g - 1]!);
      }
    });
  }
  const measured: Measured[] = [];
  for (const [k, horizon] of horizons.entries()) {
    const { predicted, truth } = errors[k]!;
    if (truth.length < ERRORS_MIN) continue;
    const absolute = predicted.map((own) => Float64Array.from(own, (value, i) => Math.abs(truth[i]! - value)));
    const weights = weightsOf(absolute);
    const blended = Float64Array.from(truth, (value, i) =>
      Math.abs(value - predicted.reduce((sum, own, c) => sum + weights[c]! * own[i]!, 0)),
    );
    measured.push({
      horizon,
      weights,
      // Farther ahead is never surer.
      half: Math.max(measured.at(-1)?.half ?? 0, conformal(blended)),
      error: average(blended),
      persistence: average(absolute[CANDIDATES - 1]!),
      samples: truth.length,
    });
  }
  return measured;
}

/** An inverse power of the mean error, with the worst errors of all cut off. */
function weightsOf(absolute: readonly Float64Array[]): Float64Array {
  const pool = Float64Array.from(absolute.flatMap((own) => [...own])).sort();
  const cap = pool[Math.floor(0.95 * (pool.length - 1))]!;
  const raw = absolute.map((own) => (average(own.map((error) => Math.min(error, cap))) + 1e-12) ** -WEIGHT_POWER);
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  return Float64Array.from(raw, (weight) => weight / total);
}

/**
 * Split-conformal quantile of the errors: (m + 1) / m of the coverage asked for. The weights were chosen on the same errors, which makes
 * those too small, as residuals of a fit are: by the root of m / (m − parameters). It matters an hour ahead, where there are 40 of them.
 */
function conformal(errors: Float64Array): number {
  const sorted = errors.toSorted();
  const m = sorted.length;
  const position = Math.min(1, COVERAGE * (1 + 1 / m)) * (m - 1);
  const below = Math.floor(position);
  const next = sorted[Math.min(below + 1, m - 1)]!;
  const quantile = sorted[below]! + (position - below) * (next - sorted[below]!);
  return quantile * Math.sqrt(m / (m - (CANDIDATES - 1)));
}

function blend(
  paths: readonly Float64Array[],
  measured: readonly Measured[],
  ahead: number,
  spread: number,
): { path: Float64Array; half: Float64Array } {
  const path = new Float64Array(ahead);
  const half = new Float64Array(ahead);
  const even = new Float64Array(CANDIDATES).fill(1 / CANDIDATES);
  for (let hours = 1; hours <= ahead; hours++) {
    const after = measured.findIndex(({ horizon }) => horizon >= hours);
    const right = measured.at(after === -1 ? -1 : after);
    const left = after > 0 ? measured[after - 1] : right;
    const share =
      left === undefined || right === undefined || left === right
        ? 0
        : (hours - left.horizon) / (right.horizon - left.horizon);
    for (let c = 0; c < CANDIDATES; c++) {
      const weight = (left?.weights ?? even)[c]! * (1 - share) + (right?.weights ?? even)[c]! * share;
      path[hours - 1]! += weight * paths[c]![hours - 1]!;
    }
    const beyond = right !== undefined && hours > right.horizon ? Math.sqrt(hours / right.horizon) : 1;
    half[hours - 1] =
      left === undefined || right === undefined ? spread : (left.half * (1 - share) + right.half * share) * beyond;
  }
  return { path, half };
}

const average = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Where nothing could be measured: as wide as what was seen. */
function spreadOf(drift: Float64Array): number {
  const sorted = drift.toSorted();
  return sorted[Math.floor(0.95 * (sorted.length - 1))]! - sorted[Math.floor(0.05 * (sorted.length - 1))]!;
}
