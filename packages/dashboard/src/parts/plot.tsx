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
}

export function Plot({
  label,
  x,
  y,
  isTime = false,
  series,
  data,
}: {
  label: string;
  x: string;
  y: string;
  isTime?: boolean;
  series: readonly PlotSeries[];
  data: uPlot.AlignedData;
}) {
  const { host, plot } = usePlot(JSON.stringify([series, x, y, isTime]), sizeOf, (element) => ({
    options: optionsOf(element, { x, y, isTime, series }),
    data,
  }));
  useLayoutEffect(() => plot?.setData(data), [plot, data]);
  return <div ref={host} className="plot" role="img" aria-label={label} />;
}

const HEIGHT_PX = 240;
const sizeOf = ({ clientWidth }: HTMLElement) => ({ width: Math.max(200, clientWidth), height: HEIGHT_PX });

function optionsOf(
  element: HTMLElement,
  { x, y, isTime, series }: { x: string; y: string; isTime: boolean; series: readonly PlotSeries[] },
): Omit<uPlot.Options, "width" | "height"> {
  const { colour, axis } = looksOf(element);
  return {
    padding: [12, 24, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: isTime ? { time: true, range: ({ data }) => timeRange(data[0]) } : { time: false } },
    axes: [
      isTime ? { ...axis, values: TIME_TICKS } : { ...axis, label: x, size: 34, values: written },
      { ...axis, label: y, size: 60, values: written },
    ],
    series: [
      {},
      ...series.map(({ label, colour: name, dots = false, dashed = false }): uPlot.Series => ({
        label,
        stroke: colour(name),
        width: 2,
        spanGaps: true,
        pxAlign: 0,
        ...(dots
          ? {
              paths: () => null,
              points: { show: true, size: 11, fill: colour(name), stroke: colour("--surface"), width: 2 },
            }
          : { points: { show: false } }),
        ...(dashed ? { dash: [6, 4] } : {}),
      })),
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
