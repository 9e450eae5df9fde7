/** Spikes in an hourly series, cut down before anything is fitted to it or carried on from it. */
import { median, medianAbsoluteDeviation } from "./statistics.ts";

/** A value is compared with those of half a day before and after it. */
const NEIGHBOURS = 12;
/** So many robust deviations off is a spike, and no drift or rhythm. */
const CLIP_DEVIATIONS = 6;

/**
 * The series with its spikes cut down to {@link CLIP_DEVIATIONS} robust deviations from the median of their neighbours (the Hampel identifier:
 * Davies and Gather, "The Identification of Multiple Outliers", JASA 1993). One wild reading makes an hour's mean, which least squares would
 * follow and an autoregression would carry into every hour to come.
 *
 * @example clipSpikes([1, 2, 1, 2, 900, 2, 1, 2])[4] // 6.4478: the median 2 and 6 · 1.4826 · 0.5, the median distance from it
 */
export function clipSpikes(series: ArrayLike<number>): Float64Array {
  return Float64Array.from(series, (value, at) => {
    const near: number[] = [];
    for (let k = Math.max(0, at - NEIGHBOURS); k < Math.min(series.length, at + NEIGHBOURS + 1); k++)
      near.push(series[k]!);
    const centre = median(near);
    const reach = CLIP_DEVIATIONS * medianAbsoluteDeviation(near, centre);
    // Where most of the neighbours are equal there is no deviation to go by.
    return reach === 0 ? value : Math.min(centre + reach, Math.max(centre - reach, value));
  });
}

/** What a forecast looks back on: the window, and what tells a spike in it from the usual. */
export const recentOf = (drift: Float64Array, window: number): number[] => [
  ...clipSpikes(drift.subarray(-2 * NEIGHBOURS - window)).subarray(-window),
];
