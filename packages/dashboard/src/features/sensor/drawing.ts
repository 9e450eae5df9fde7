/** How the chart of a sensor looks: its lines and bands, and on them the anomalies and the calibrations. */
import type uPlot from "uplot";
import type { Anomaly } from "../../api.ts";
import { formatTime, formatUtc, formatValue } from "../../format.ts";
import { looksOf } from "../../parts/use-plot.ts";
import { TIME_TICKS, tickText } from "../../parts/ticks.ts";
import type { ChartProps } from "./chart.tsx";
import {
  CORRECTED,
  EXPECTED_HIGH,
  EXPECTED_LOW,
  FORECAST,
  FORECAST_HIGH,
  FORECAST_LOW,
  RAW,
  RAW_HIGH,
  RAW_LOW,
} from "./table.ts";

const HEIGHT_PX = 340;
const NARROW_HEIGHT_PX = 260;
const NARROW_PX = 600;
/** Who drags less than this has clicked. */
const CHOSEN_PX_MIN = 4;
/** As wide as the word beside a calibration. */
const LABEL_PX = 68;
/** So near to a mark a click means it. */
const HIT_PX = 14;

export function sizeOf(element: HTMLElement): { width: number; height: number } {
  const width = Math.max(200, element.clientWidth);
  return { width, height: width < NARROW_PX ? NARROW_HEIGHT_PX : HEIGHT_PX };
}

/** What is drawn on the lines, looked up at each drawing. */
export type Marks = Pick<ChartProps, "unit" | "anomalies" | "calibrations" | "selected">;

export function optionsOf(
  element: HTMLElement,
  marks: { current: Marks },
  heard: {
    zoomed: (fromMs: number, toMs: number) => void;
    zoomedOut: () => void;
    pointedAt: (u: uPlot) => void;
  },
): Omit<uPlot.Options, "width" | "height"> {
  const { colour, axis } = looksOf(element);
  const line = (label: string, stroke: string): uPlot.Series => ({
    label,
    stroke,
    width: 1.5,
    points: { show: false },
    pxAlign: 0,
  });
  const edge = (label: string): uPlot.Series => ({ label, width: 0, points: { show: false } });
  const colours = {
    ink: colour("--quiet"),
    alarm: colour("--critical"),
    flag: colour("--warning"),
    ring: colour("--surface"),
  };
  return {
    padding: [12, 24, 0, 0],
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      y: false,
      bind: {
        // With Shift the line is taken along (`gestures.ts`), without it a part of it is chosen.
        mousedown: (_, __, handle) => (event: MouseEvent) => (event.shiftKey ? null : handle(event)),
        dblclick: () => () => {
          heard.zoomedOut();
          return null;
        },
      },
    },
    scales: { x: { time: true } },
    axes: [
      { ...axis, values: TIME_TICKS },
      {
        ...axis,
        size: 64,
        label: marks.current.unit,
        values: (_, ticks) => ticks.map((tick) => tickText(tick, ticks)),
      },
    ],
    series: [
      {},
      line("measured", colour("--series-raw")),
      edge("lowest"),
      edge("highest"),
      line("corrected", colour("--series-corrected")),
      edge("usual from"),
      edge("usual to"),
      { ...line("forecast", colour("--series-forecast")), dash: [6, 4] },
      edge("forecast from"),
      edge("forecast to"),
    ],
    bands: [
      { series: [EXPECTED_HIGH, EXPECTED_LOW], fill: colour("--band") },
      { series: [RAW_HIGH, RAW_LOW], fill: `${colour("--series-raw")}55` },
      { series: [FORECAST_HIGH, FORECAST_LOW], fill: `${colour("--series-forecast")}30` },
    ],
    hooks: {
      draw: [(u) => drawCalibrations(u, marks.current, colours.ink), (u) => drawAnomalies(u, marks.current, colours)],
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width < CHOSEN_PX_MIN) return;
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          heard.zoomed(timeAt(u, left), timeAt(u, left + width));
        },
      ],
      setCursor: [(u) => heard.pointedAt(u)],
    },
  };
}

/** Epoch milliseconds at a place across the plot, CSS pixels from its left edge. */
export const timeAt = (u: uPlot, leftPx: number): number => Math.round(u.posToVal(leftPx, "x") * 1000);

/** In CSS pixels of the plot's own area; null where there is no value to stand at, or it is out of sight. */
function placeOf(u: uPlot, { timestamp, value }: Anomaly): { x: number; y: number } | null {
  const at = Date.parse(timestamp) / 1000;
  const [start, end] = [u.scales["x"]!.min, u.scales["x"]!.max];
  if (start === undefined || end === undefined || at < start || at > end) return null;
  const { min, max } = u.scales["y"]!;
  if (min === undefined || min === null || max === undefined || max === null) return null;
  // A gap has no value: it is marked at the bottom.
  const y = value === null ? min : Math.min(max, Math.max(min, value));
  return { x: u.valToPos(at, "x"), y: u.valToPos(y, "y") };
}

/** The anomaly whose mark is meant by a click at a place in the plot. */
export function anomalyAt(u: uPlot, anomalies: readonly Anomaly[], x: number, y: number): Anomaly | undefined {
  let nearest: Anomaly | undefined;
  let least = HIT_PX;
  for (const anomaly of anomalies) {
    const place = placeOf(u, anomaly);
    const distance = place === null ? Infinity : Math.hypot(place.x - x, place.y - y);
    if (distance > least) continue;
    nearest = anomaly;
    least = distance;
  }
  return nearest;
}

function drawAnomalies(
  u: uPlot,
  { anomalies, selected }: Marks,
  colours: { alarm: string; flag: string; ring: string },
): void {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  for (const anomaly of anomalies) {
    const place = placeOf(u, anomaly);
    if (place === null) continue;
    const isSelected = anomaly.id === selected;
    ctx.beginPath();
    ctx.arc(
      u.bbox.left + place.x * ratio,
      u.bbox.top + place.y * ratio,
      (isSelected ? 8 : anomaly.alarm ? 5.5 : 4) * ratio,
      0,
      2 * Math.PI,
    );
    ctx.fillStyle = anomaly.alarm ? colours.alarm : colours.flag;
    ctx.strokeStyle = colours.ring;
    ctx.lineWidth = 2 * ratio;
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

function drawCalibrations(u: uPlot, { calibrations }: Marks, ink: string): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.fillStyle = ink;
  ctx.lineWidth = ratio;
  ctx.textAlign = "left";
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  let writtenFrom = Infinity;
  // From the newest back: where they lie too near for their words, the newest has them.
  for (const { applied_at: at } of calibrations) {
    const x = u.valToPos(Date.parse(at) / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (writtenFrom - x < LABEL_PX * ratio) continue;
    writtenFrom = x;
    ctx.fillText("calibrated", x + 4 * ratio, bbox.top + 12 * ratio);
  }
  ctx.restore();
}

/** What the line says where the pointer is. */
export function readoutOf(u: uPlot, unit: string): string {
  const { idx } = u.cursor;
  if (idx === null || idx === undefined || (u.cursor.left ?? -1) < 0) return "";
  const at = (place: number): number | null => {
    // The rows of the table belong to different series: the nearest one of this.
    for (const step of [0, -1, 1, -2, 2]) {
      const value = u.data[place]?.[idx + step];
      if (value !== undefined && value !== null) return value;
    }
    return null;
  };
  const ms = u.data[0][idx]! * 1000;
  const parts = [`${formatTime(ms, Date.now())} (${formatUtc(ms)})`];
  const span = (low: number | null, high: number | null) =>
    low === null || high === null || low === high ? "" : ` (${formatValue(low)} to ${formatValue(high)})`;
  const raw = at(RAW);
  if (raw !== null) parts.push(`measured ${formatValue(raw)} ${unit}${span(at(RAW_LOW), at(RAW_HIGH))}`);
  const corrected = at(CORRECTED);
  if (corrected !== null) parts.push(`corrected ${formatValue(corrected)} ${unit}`);
  const forecast = at(FORECAST);
  if (forecast !== null && raw === null)
    parts.push(`forecast ${formatValue(forecast)} ${unit}${span(at(FORECAST_LOW), at(FORECAST_HIGH))}`);
  return parts.join(" · ");
}
