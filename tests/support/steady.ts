/** Whether a figure that was looked at again and again stays where it is: its trend, and how sure that trend is. */
import { theilSen } from "@calibration/models/theil-sen.ts";

export interface Figure {
  name: string;
  unit: string;
  /** What it may grow by in an hour. */
  perHourMax: number;
}

export interface Steadiness extends Figure {
  first: number;
  last: number;
  perHour: number;
  /** The slowest growth that the samples allow, at 95 %: above the limit it is no accident. */
  perHourLow: number;
  grows: boolean;
}

const HOUR_S = 3_600;
/** All pairs of samples are compared: more than these say nothing new. */
const SAMPLES_MAX = 240;

/** Samples are pairs of seconds and value, in their order; two at least. */
export function steadinessOf(figure: Figure, samples: readonly (readonly [number, number])[]): Steadiness {
  const every = Math.ceil(samples.length / SAMPLES_MAX);
  const some = samples.filter((_, n) => n % every === 0);
  const trend = theilSen(
    some.map(([seconds]) => seconds),
    some.map(([, value]) => value),
  );
  const perHourLow = trend.low * HOUR_S;
  return {
    ...figure,
    first: samples[0]![1],
    last: samples.at(-1)![1],
    perHour: trend.slope * HOUR_S,
    perHourLow,
    grows: perHourLow > figure.perHourMax,
  };
}

export function tableOf(rows: readonly Steadiness[]): string {
  const line = (...cells: readonly string[]) =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(44) : cell.padStart(14))).join("");
  const figure = (value: number) =>
    Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString("en") : value.toFixed(2).replace(/\.?0+$/, "");
  return [
    line("", "first", "last", "an hour", "at least", "limit"),
    ...rows.map(({ name, unit, first, last, perHour, perHourLow, perHourMax, grows }) =>
      line(
        `${grows ? "✗" : " "} ${name}, ${unit}`,
        figure(first),
        figure(last),
        figure(perHour),
        figure(perHourLow),
        figure(perHourMax),
      ),
    ),
  ].join("\n");
}
