/**
 * The robust statistics that every model here begins with. Nothing here changes its input, and none of it is defined for
 * values that are not finite: whoever reads readings leaves those out first.
 */

/** Makes the median absolute deviation of normally distributed values equal their standard deviation: 1 / Φ⁻¹(3/4). */
export const MAD_TO_SIGMA = 1.4826;

/**
 * The middle value, or the mean of the two middle ones; NaN of nothing.
 *
 * @example median([3, 1, 2, 10]) // 2.5
 */
export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

/**
 * A standard deviation that half of the values may spoil: 1.4826 × the median distance from `centre` (default: the median),
 * in the unit of the values. NaN of nothing; 0 when more than half of the values are equal.
 *
 * @example medianAbsoluteDeviation([1, 2, 3, 4, 1000]) // 1.4826
 */
export function medianAbsoluteDeviation(values: ArrayLike<number>, centre: number = median(values)): number {
  return MAD_TO_SIGMA * median(Float64Array.from(values, (value) => Math.abs(value - centre)));
}

/**
 * The q-quantile, 0 ≤ q ≤ 1, linear between the two neighbours as numpy's default is; NaN of nothing.
 *
 * @example quantile([10, 20, 30, 40], 0.9) // 37
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (!(q >= 0 && q <= 1)) throw new RangeError(`a quantile is between 0 and 1, and ${q} is not`);
  if (values.length === 0) return NaN;
  const sorted = Float64Array.from(values).sort();
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (position - below) * (high - low);
}
