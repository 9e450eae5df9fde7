/** A small uPlot in our colours, for charts that are looked at and not moved in. */
import { useLayoutEffect } from "react";
import type uPlot from "uplot";
import { TIME_TICKS, tickText } from "./ticks.ts";
import { looksOf, usePlot } from "./use-plot.ts";

const HOUR_S = 3_600;
const DAY_S = 86_400;

export interface PlotSeries {
  label: string;
  /** A custom property of main.css, such as `--series-raw`. */
  colour: string;
  dots?: boolean;
  dashed?: boolean;
  /** A line with a small dot at each point. */
  points?: boolean;
  /** Rings round points of another series. */
  rings?: boolean;
}

export function Plot({
  label,
  x,
  y,
  isTime = false,
  isPercent = false,
  isCounted = false,
  heightPx = HEIGHT_PX,
  series,
  data,
}: {
  label: string;
  x: string;
  y: string;
  isTime?: boolean;
  /** From 0, or less where there is less, to 100. */
  isPercent?: boolean;
  /** Along x are whole numbers, and half a step of room. */
  isCounted?: boolean;
  heightPx?: number;
  series: readonly PlotSeries[];
  data: uPlot.AlignedData;
}) {
  const axes = { x, y, isTime, isPercent, isCounted, isDense: data[0].length > DENSE, series };
  const { host, plot } = usePlot(
    JSON.stringify([axes, heightPx]),
    ({ clientWidth }) => ({ width: Math.max(200, clientWidth), height: heightPx }),
    (element) => ({ options: optionsOf(element, axes), data }),
  );
  useLayoutEffect(() => plot?.setData(data), [plot, data]);
  return <div ref={host} className="plot" role="img" aria-label={label} />;
}

const HEIGHT_PX = 240;
/** So many points and more lie so close that a thick line would be a blot. */
const DENSE = 400;
const HALF = 0.5;
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100];
const PERCENT_STEPS = [25, 50, 100, 200, 500, 1000];
function optionsOf(
  element: HTMLElement,
  {
    x,
    y,
    isTime,
    isPercent,
    isCounted,
    isDense,
    series,
  }: {
    x: string;
    y: string;
    isTime: boolean;
    isPercent: boolean;
    isCounted: boolean;
    isDense: boolean;
    series: readonly PlotSeries[];
  },
): Omit<uPlot.Options, "width" | "height"> {
  const { colour, axis } = looksOf(element);
  return {
    padding: [12, 24, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: isTime
        ? { time: true, range: ({ data }) => timeRange(data[0]) }
        : { time: false, ...(isCounted ? { range: (_, low, high) => [low - HALF, high + HALF] } : {}) },
      y: isPercent ? { range: (_, low, high) => [Math.min(0, low), Math.max(100, high)] } : {},
    },
    axes: [
      isTime
        ? { ...axis, values: TIME_TICKS }
        : { ...axis, label: x, size: 34, values: written, ...(isCounted ? { incrs: WHOLE_STEPS, space: 24 } : {}) },
      { ...axis, label: y, size: 60, values: written, ...(isPercent ? { incrs: PERCENT_STEPS, space: 24 } : {}) },
    ],
    series: [
      {},
      ...series.map(
        ({ label, colour: name, dots = false, dashed = false, points = false, rings = false }): uPlot.Series => ({
          label,
          stroke: colour(name),
          width: isDense ? 1 : 2,
          spanGaps: true,
          pxAlign: 0,
          ...(dots
            ? {
                paths: () => null,
                points: { show: true, size: 11, fill: colour(name), stroke: colour("--surface"), width: 2 },
              }
            : rings
              ? {
                  paths: () => null,
                  points: { show: true, size: 13, fill: "transparent", stroke: colour(name), width: 2 },
                }
              : {
                  points: points ? { show: true, size: 6, fill: colour(name), stroke: colour(name) } : { show: false },
                }),
          ...(dashed ? { dash: [6, 4] } : {}),
        }),
      ),
    ],
  };
}

const written = (_: uPlot, ticks: number[]): string[] => ticks.map((tick) => tickText(tick, ticks));

/** From the first time to the last. A moment alone would be shown amid years: it is given the day that ends with it. */
function timeRange(times: ArrayLike<number>): [number, number] {
  const end = times[times.length - 1] ?? Date.now() / 1000;
  const start = times[0] ?? end;
  return end - start < HOUR_S ? [end - DAY_S, end] : [start, end];
}
