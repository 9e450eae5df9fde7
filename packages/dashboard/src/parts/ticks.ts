/** What stands at the axes of a chart. */
import type uPlot from "uplot";

/** A time axis as this page writes times everywhere: 24 hours, day before month. */
export const TIME_TICKS: uPlot.Axis.Values = [
  [86_400 * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86_400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [0.001, "{HH}:{mm}:{ss}.{fff}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
];

/** With as many decimals as the step between ticks has: 2.5 is one, 0.25 two. */
export function tickText(tick: number, ticks: readonly number[]): string {
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : 1;
  const digits = [0, 1, 2, 3, 4, 5].find((one) => Math.abs(step - Number(step.toFixed(one))) < step * 1e-6) ?? 6;
  return tick.toFixed(digits).replace("-", "−");
}
