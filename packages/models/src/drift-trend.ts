/**
 * The straight line: what answers without a model, and for histories too short for anything better. One Theil–Sen line through block
 * medians; the band from each block's distance to the line, growing with the way ahead. A proposal of this platform, never more than half confident.
 */
import { median, quantile } from "./statistics.ts";
import { theilSen } from "./theil-sen.ts";

/** All pairs of blocks are formed. */
const BLOCKS_MAX = 300;
const COVERAGE = 0.9;
export const TREND_CONFIDENCE_MAX = 0.5;

export interface TrendForecast {
  readonly path: Float64Array;
  readonly half: Float64Array;
  /** Percent a day, with its 90 % interval. */
  readonly slopePerDay: number;
  readonly slopeLow: number;
  readonly slopeHigh: number;
}

/**
 * @param hours of each value, ascending; at least two that differ
 * @param drift percent
 * @param ahead hours to forecast after the last
 */
export function forecastTrend(hours: ArrayLike<number>, drift: ArrayLike<number>, ahead: number): TrendForecast {
  const blocks = blocksOf(Array.from(hours), Array.from(drift));
  const last = hours[hours.length - 1]!;
  const { slope, level, low, high } = theilSen(blocks.hours, blocks.values);
  const residuals = blocks.values.map((value, i) => Math.abs(value - level - slope * blocks.hours[i]!));
  const band = quantile(residuals, COVERAGE) * Math.sqrt(1 + 1 / residuals.length);
  const span = Math.max(1, last - hours[0]!);
  return {
    path: Float64Array.from({ length: ahead }, (_, f) => level + slope * (last + f + 1)),
    half: Float64Array.from({ length: ahead }, (_, f) => band * Math.sqrt(1 + (f + 1) / span)),
    slopePerDay: slope * 24,
    slopeLow: low * 24,
    slopeHigh: high * 24,
  };
}

function blocksOf(hours: number[], values: number[]): { hours: number[]; values: number[] } {
  const size = Math.ceil(values.length / BLOCKS_MAX);
  const starts = Array.from({ length: Math.ceil(values.length / size) }, (_, block) => block * size);
  return {
    hours: starts.map((start) => median(hours.slice(start, start + size))),
    values: starts.map((start) => median(values.slice(start, start + size))),
  };
}
