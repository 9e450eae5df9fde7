/** The trend that a quarter of the points may spoil: the median of all pairs' slopes (Theil 1950, Sen 1968). */
import { median } from "./statistics.ts";

export interface RobustTrend {
  /** Per unit of x, with its 90 % interval (Kendall's variance). */
  readonly slope: number;
  readonly low: number;
  readonly high: number;
  /** y at x = 0. */
  readonly level: number;
}

/** At most a few hundred points: all pairs are formed. x must not be all equal. */
export function theilSen(x: ArrayLike<number>, y: ArrayLike<number>): RobustTrend {
  const n = x.length;
  const slopes: number[] = [];
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) if (x[i] !== x[j]) slopes.push((y[j]! - y[i]!) / (x[j]! - x[i]!));
  if (slopes.length === 0) throw new RangeError("a trend needs two different points in time");
  const sorted = Float64Array.from(slopes).sort();
  const slope = median(sorted);
  const reach = 1.645 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const m = sorted.length;
  return {
    slope,
    low: sorted[Math.max(0, Math.trunc((m - reach) / 2))]!,
    high: sorted[Math.min(m - 1, Math.trunc((m + reach) / 2))]!,
    level: median(Float64Array.from({ length: n }, (_, i) => y[i]! - slope * x[i]!)),
  };
}
