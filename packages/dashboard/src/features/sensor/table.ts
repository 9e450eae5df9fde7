/** The table that uPlot draws: every series by its own times, joined; a hole in the line is a null. */
import uPlot from "uplot";
import type { DriftPrediction, ExpectedHour } from "../../api.ts";
import { HOUR_MS } from "./range.ts";
import type { Series } from "./series.ts";

/** A hole in the line is more than so many of its steps. */
const GAP_STEPS = 3;

/** The columns, after that of the times. */
export const RAW = 1;
export const RAW_LOW = 2;
export const RAW_HIGH = 3;
export const CORRECTED = 4;
export const EXPECTED_LOW = 5;
export const EXPECTED_HIGH = 6;
export const FORECAST = 7;
export const FORECAST_LOW = 8;
export const FORECAST_HIGH = 9;

export interface Drawn {
  raw: Series | undefined;
  corrected: Series | undefined;
  expected: readonly ExpectedHour[];
  /** Until when the usual band is shown, epoch milliseconds: no further than what was measured can reach. */
  expectedToMs: number;
  forecast: DriftPrediction | undefined;
}

type Column = (number | null)[];

export function tableOf({ raw, corrected, expected, expectedToMs, forecast }: Drawn): uPlot.AlignedData {
  const measured = broken(raw);
  const fixed = broken(corrected);
  const first = raw?.points[0];
  // What is usual is said of the time that was measured, from the hour of its first reading on.
  const within = expected.filter(({ timestamp }) => {
    const ms = Date.parse(timestamp);
    return ms <= expectedToMs && first !== undefined && ms > first.ms - HOUR_MS;
  });
  const lastHour = within.at(-1);
  // The last hour's band reaches as far as that hour is shown.
  const usual =
    lastHour === undefined
      ? []
      : [
          ...within,
          {
            ...lastHour,
            timestamp: new Date(Math.min(expectedToMs, Date.parse(lastHour.timestamp) + HOUR_MS)).toISOString(),
          },
        ];
  const predicted = forecast?.predictions ?? [];
  const last = raw?.points.at(-1);
  return uPlot.join([
    columns(measured, [({ mean }) => mean, ({ min }) => min, ({ max }) => max], ({ ms }) => ms),
    columns(fixed, [({ mean }) => mean], ({ ms }) => ms),
    columns(usual, [({ lower }) => lower, ({ upper }) => upper], ({ timestamp }) => Date.parse(timestamp)),
    columns(
      last !== undefined && continues(last.mean, predicted[0])
        ? [
            { timestamp: new Date(last.ms).toISOString(), value: last.mean, lower: last.mean, upper: last.mean },
            ...predicted,
          ]
        : predicted,
      [({ value }) => value, ({ lower }) => lower, ({ upper }) => upper],
      ({ timestamp }) => Date.parse(timestamp),
    ),
  ] as uPlot.AlignedData[]);
}

/** The forecast begins where the line ends, unless that ends with something wild, which it does not come from. */
function continues(last: number, first: DriftPrediction["predictions"][number] | undefined): boolean {
  if (first === undefined) return false;
  const width = first.upper - first.lower;
  return last >= first.lower - width && last <= first.upper + width;
}

type PointOrHole = { ms: number; mean: number | null; min: number | null; max: number | null };

function broken(series: Series | undefined): PointOrHole[] {
  if (series === undefined) return [];
  const { points } = series;
  const stepMs = series.resolution > 0 ? series.resolution * 1000 : medianStep(points.map(({ ms }) => ms));
  return points.flatMap((point, index): PointOrHole[] => {
    const before = points[index - 1];
    const isHole = before !== undefined && stepMs > 0 && point.ms - before.ms > GAP_STEPS * stepMs;
    return isHole ? [{ ms: before.ms + stepMs, mean: null, min: null, max: null }, point] : [point];
  });
}

function medianStep(times: readonly number[]): number {
  const steps = times
    .slice(1)
    .map((ms, index) => ms - times[index]!)
    .toSorted((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 0;
}

/** A table of its own: seconds, then each column. A time that is there twice is there once. */
function columns<T>(
  rows: readonly T[],
  of: readonly ((row: T) => number | null)[],
  ms: (row: T) => number,
): [number[], ...Column[]] {
  const kept = rows.filter((row, index) => index === 0 || ms(row) > ms(rows[index - 1]!));
  return [kept.map((row) => ms(row) / 1000), ...of.map((read) => kept.map((row) => read(row)))];
}
