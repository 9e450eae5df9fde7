/** What of time the chart shows: the last so many hours, following now, or a fixed period. */

export const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
export const SPAN_MS_MIN = MINUTE_MS;
export const SPAN_MS_MAX = 400 * 24 * HOUR_MS;
/** The end of what follows now moves in steps, so that what was asked for is of use for a while. */
const STEP_MS = 15_000;
/** A forecast is told from hourly means: it has nothing to say to minutes. */
const FORECAST_SPAN_MS_MIN = 12 * HOUR_MS;
const FORECAST_SHARE = 0.25;
const FORECAST_HOURS_MAX = 336;
/** Half a day shows the hour of day that an anomaly broke with. */
const AROUND_MS = 6 * HOUR_MS;
const FORECAST_POINTS_MIN = 24;
/** Fingers nearer than this share of the width say nothing of how far to stretch. */
const FINGERS_APART_MIN = 0.02;

export const SPANS = [
  { id: "1", label: "1 h" },
  { id: "24", label: "24 h" },
  { id: "168", label: "7 d" },
  { id: "720", label: "30 d" },
  { id: "9600", label: "400 d" },
] as const;
export const SPAN_DEFAULT_HOURS = 24;

export interface RangeSearch {
  /** Hours that follow now. */
  span?: number;
  /** Or a fixed period, epoch milliseconds. */
  from?: number;
  to?: number;
  /** The anomaly that is explained. */
  anomaly?: number | undefined;
}

export interface Range {
  fromMs: number;
  toMs: number;
  follows: boolean;
}

export function readRangeSearch(given: Record<string, unknown>): RangeSearch {
  const kept: RangeSearch = {};
  for (const name of ["span", "from", "to", "anomaly"] as const) {
    const value = Number(given[name]);
    if (given[name] !== undefined && Number.isFinite(value) && value > 0) kept[name] = value;
  }
  return kept;
}

export function rangeOf({ span, from, to }: RangeSearch, nowMs: number): Range {
  if (from !== undefined && to !== undefined && to - from >= SPAN_MS_MIN)
    return { fromMs: from, toMs: Math.min(to, from + SPAN_MS_MAX), follows: false };
  const toMs = Math.ceil(nowMs / STEP_MS) * STEP_MS;
  const spanMs = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, (span ?? SPAN_DEFAULT_HOURS) * HOUR_MS));
  return { fromMs: toMs - spanMs, toMs, follows: true };
}

/** Zoomed about a place (0 to 1 of the width); a factor under 1 shows less time. */
export function zoomed({ fromMs, toMs }: Range, factor: number, place = 0.5): Range {
  const spanMs = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, (toMs - fromMs) * factor));
  const centreMs = fromMs + (toMs - fromMs) * place;
  const startMs = Math.round(centreMs - spanMs * place);
  return { fromMs: startMs, toMs: Math.round(startMs + spanMs), follows: false };
}

/** Moved by a share of its width; positive is later. */
export function panned({ fromMs, toMs }: Range, share: number): Range {
  const byMs = Math.round((toMs - fromMs) * share);
  return { fromMs: fromMs + byMs, toMs: toMs + byMs, follows: false };
}

/** Taken along from one place (0 to 1 of the width) to another. */
export const moved = (range: Range, from: number, to: number): Range => panned(range, from - to);

/** The times under two fingers stay under them. Fingers that lie one over the other move it and stretch nothing. */
export function stretched(range: Range, before: readonly [number, number], after: readonly [number, number]): Range {
  const apart = Math.abs(before[0] - before[1]);
  const wide = Math.abs(after[0] - after[1]);
  const middle = (before[0] + before[1]) / 2;
  const shifted = moved(range, middle, (after[0] + after[1]) / 2);
  if (apart < FINGERS_APART_MIN || wide < FINGERS_APART_MIN) return shifted;
  return zoomed(shifted, apart / wide, (after[0] + after[1]) / 2);
}

/**
 * How far the forecast goes on, in hours, and its steps: beyond what follows now by a share of it, in a fixed period as far as
 * that reaches. Null where it would say nothing.
 */
export function forecastOf({ fromMs, toMs, follows }: Range, nowMs: number): { horizon: number; step: number } | null {
  const spanMs = toMs - fromMs;
  if (spanMs < FORECAST_SPAN_MS_MIN) return null;
  const ahead = follows ? (spanMs / HOUR_MS) * FORECAST_SHARE : Math.ceil((toMs - nowMs) / HOUR_MS);
  if (ahead < 1) return null;
  const horizon = Math.min(FORECAST_HOURS_MAX, ahead);
  // Hours show a day's swing; of less than a day there are more points than hours.
  return { horizon, step: Math.min(1, horizon / FORECAST_POINTS_MIN) };
}

export const isWithin = ({ fromMs, toMs }: Range, timestamp: string): boolean =>
  Date.parse(timestamp) >= fromMs && Date.parse(timestamp) <= toMs;

/** Round an instant, wide enough to see what came before and after. */
export const rangeAround = (timestamp: string): { from: number; to: number } => {
  const ms = Date.parse(timestamp);
  return { from: ms - AROUND_MS, to: ms + AROUND_MS };
};
