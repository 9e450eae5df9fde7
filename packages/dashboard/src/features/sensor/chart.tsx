/** The time series of a sensor: uPlot draws it, this says what, and turns dragging, wheel and keys into other ranges. */
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Anomaly, Calibration, DriftPrediction, ExpectedHour } from "../../api.ts";
import { formatTime, formatValue } from "../../format.ts";
import { TIME_TICKS } from "../../parts/time-ticks.ts";
import { HOUR_MS, panned, zoomed, type Range } from "./range.ts";
import type { Series } from "./series.ts";

export interface ChartProps {
  range: Range;
  /** Where the axis ends, beyond the range where a forecast goes on. */
  endMs: number;
  unit: string;
  raw: Series | undefined;
  corrected: Series | undefined;
  expected: readonly ExpectedHour[];
  forecast: DriftPrediction | undefined;
  anomalies: readonly Anomaly[];
  calibrations: readonly Calibration[];
  selected: number | null;
  onRange: (range: Range) => void;
  onSelect: (anomalyId: number) => void;
}

const HEIGHT_PX = 340;
const NARROW_HEIGHT_PX = 260;
const NARROW_PX = 600;
/** So near to a mark a click means it. */
const HIT_PX = 14;
const ZOOM = 1.6;
const PAN = 0.25;
/** A hole in the line is more than so many of its steps. */
const GAP_STEPS = 3;

/** Places in the table that uPlot draws. */
const RAW = 1;
const RAW_LOW = 2;
const RAW_HIGH = 3;
const CORRECTED = 4;
const EXPECTED_LOW = 5;
const EXPECTED_HIGH = 6;
const FORECAST = 7;
const FORECAST_LOW = 8;
const FORECAST_HIGH = 9;

export function Chart(props: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [readout, setReadout] = useState("");
  const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);

  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setDark(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);

  useLayoutEffect(() => {
    const element = host.current!;
    const made = new uPlot(optionsOf(element, latest, setReadout), tableOf(latest.current), element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize(sizeOf(element)));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [isDark, props.unit]);

  useLayoutEffect(() => {
    const { current } = plot;
    if (current === null) return;
    current.batch(() => {
      current.setData(tableOf(props), false);
      current.setScale("x", { min: props.range.fromMs / 1000, max: props.endMs / 1000 });
    });
    current.redraw();
  });

  const move = (range: Range) => props.onRange(range);
  const keyed = (event: React.KeyboardEvent) => {
    const { range } = props;
    const to =
      event.key === "ArrowLeft"
        ? panned(range, -PAN)
        : event.key === "ArrowRight"
          ? panned(range, PAN)
          : event.key === "+" || event.key === "="
            ? zoomed(range, 1 / ZOOM)
            : event.key === "-"
              ? zoomed(range, ZOOM)
              : null;
    if (to === null) return;
    event.preventDefault();
    move(to);
  };
  return (
    <figure className="chart">
      <div
        ref={host}
        className="chart-plot"
        role="application"
        aria-roledescription="chart"
        aria-label={`Readings in ${props.unit}. Left and right move in time, plus and minus zoom. Anomalies are listed below.`}
        tabIndex={0}
        onKeyDown={keyed}
      />
      <figcaption className="readout quiet">{readout === "" ? describe(props) : readout}</figcaption>
    </figure>
  );
}

function describe({ raw, unit }: ChartProps): string {
  if (raw === undefined) return "Loading…";
  if (raw.points.length === 0) return "No readings in this period.";
  const low = raw.points.reduce((least, { min }) => Math.min(least, min), Infinity);
  const high = raw.points.reduce((most, { max }) => Math.max(most, max), -Infinity);
  const each = raw.resolution === 0 ? "every reading" : `means of ${wordOf(raw.resolution)} with their extremes`;
  return `${formatValue(low)} to ${formatValue(high)} ${unit}; ${each}. Drag to zoom.`;
}

const wordOf = (seconds: number): string =>
  seconds < 3600 ? `${seconds / 60} min` : seconds < 86_400 ? `${seconds / 3600} h` : `${seconds / 86_400} d`;

function sizeOf(element: HTMLElement): { width: number; height: number } {
  const width = Math.max(200, element.clientWidth);
  return { width, height: width < NARROW_PX ? NARROW_HEIGHT_PX : HEIGHT_PX };
}

function optionsOf(element: HTMLElement, latest: { current: ChartProps }, say: (text: string) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const ink = colour("--quiet");
  const line = (label: string, stroke: string, width = 1.5): uPlot.Series => ({
    label,
    stroke,
    width,
    points: { show: false },
  });
  const edge = (label: string): uPlot.Series => ({ label, width: 0, points: { show: false } });
  const axis: uPlot.Axis = {
    stroke: ink,
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { stroke: colour("--grid"), width: 1 },
  };
  return {
    ...sizeOf(element),
    padding: [12, 12, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 }, y: false },
    scales: { x: { time: true } },
    axes: [
      { ...axis, values: TIME_TICKS },
      {
        ...axis,
        size: 64,
        label: latest.current.unit,
        labelSize: 18,
        labelFont: "12px system-ui, sans-serif",
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
      draw: [
        (u) => drawCalibrations(u, latest.current, ink),
        (u) =>
          drawAnomalies(u, latest.current, {
            critical: colour("--critical"),
            ring: colour("--surface"),
            flag: colour("--warning"),
          }),
      ],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const fromMs = Math.round(u.posToVal(u.select.left, "x") * 1000);
          const toMs = Math.round(u.posToVal(u.select.left + u.select.width, "x") * 1000);
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          latest.current.onRange(zoomed({ fromMs, toMs, follows: false }, 1));
        },
      ],
      setCursor: [(u) => say(readoutOf(u, latest.current))],
      ready: [(u) => listen(u, latest)],
    },
  };
}

function listen(u: uPlot, latest: { current: ChartProps }): void {
  u.over.addEventListener("click", (event) => {
    const hit = latest.current.anomalies
      .map((anomaly) => ({ anomaly, place: placeOf(u, anomaly, latest.current) }))
      .filter(({ place }) => place !== null)
      .map(({ anomaly, place }) => ({
        anomaly,
        distance: Math.hypot(place!.x - event.offsetX, place!.y - event.offsetY),
      }))
      .toSorted((a, b) => a.distance - b.distance)[0];
    if (hit !== undefined && hit.distance <= HIT_PX) latest.current.onSelect(hit.anomaly.id);
  });
  // The page scrolls as ever; with Ctrl (which a pinch sends too) the wheel zooms, sideways it moves in time.
  u.over.addEventListener(
    "wheel",
    (event) => {
      const { range, onRange } = latest.current;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const factor = event.deltaY > 0 ? ZOOM ** 0.5 : 1 / ZOOM ** 0.5;
        onRange(
          zoomed(
            range,
            factor,
            Math.min(
              1,
              u.posToVal(event.offsetX, "x") * 1000 < range.toMs
                ? (u.posToVal(event.offsetX, "x") * 1000 - range.fromMs) / (range.toMs - range.fromMs)
                : 1,
            ),
          ),
        );
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        onRange(panned(range, Math.sign(event.deltaX) * 0.05));
      }
    },
    { passive: false },
  );
}

/** In CSS pixels of the plot's own area; null where there is no value to stand at, or it is out of sight. */
function placeOf(
  u: uPlot,
  { timestamp, value }: Anomaly,
  { range, endMs }: ChartProps,
): { x: number; y: number } | null {
  const ms = Date.parse(timestamp);
  if (ms < range.fromMs || ms > endMs) return null;
  const { min, max } = u.scales["y"]!;
  if (min === undefined || min === null || max === undefined || max === null) return null;
  // A gap has no value: it is marked at the bottom.
  const y = value === null ? min : Math.min(max, Math.max(min, value));
  return { x: u.valToPos(ms / 1000, "x"), y: u.valToPos(y, "y") };
}

function drawAnomalies(u: uPlot, props: ChartProps, colours: { critical: string; ring: string; flag: string }): void {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  for (const anomaly of props.anomalies) {
    const place = placeOf(u, anomaly, props);
    if (place === null) continue;
    const isSelected = anomaly.id === props.selected;
    ctx.beginPath();
    ctx.arc(
      u.bbox.left + place.x * ratio,
      u.bbox.top + place.y * ratio,
      (isSelected ? 8 : anomaly.alarm ? 5.5 : 4) * ratio,
      0,
      2 * Math.PI,
    );
    ctx.fillStyle = anomaly.alarm ? colours.critical : colours.flag;
    ctx.strokeStyle = colours.ring;
    ctx.lineWidth = 2 * ratio;
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

function drawCalibrations(u: uPlot, { calibrations, range }: ChartProps, ink: string): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.fillStyle = ink;
  ctx.lineWidth = ratio;
  ctx.textAlign = "left";
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  for (const { applied_at: at } of calibrations) {
    const ms = Date.parse(at);
    if (ms < range.fromMs || ms > range.toMs) continue;
    const x = u.valToPos(ms / 1000, "x", true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText("calibrated", x + 4 * ratio, bbox.top + 12 * ratio);
  }
  ctx.restore();
}

function readoutOf(u: uPlot, { unit }: ChartProps): string {
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
  const parts = [formatTime(u.data[0][idx]! * 1000, Date.now())];
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

type Column = (number | null)[];

/** Every series by its own times, joined into one table; a hole in the line is a null. */
function tableOf({ raw, corrected, expected, forecast, range }: ChartProps): uPlot.AlignedData {
  const measured = broken(raw);
  const fixed = broken(corrected);
  const within = expected.filter(({ timestamp }) => Date.parse(timestamp) <= range.toMs);
  const lastHour = within.at(-1);
  // The last hour's band reaches as far as that hour is shown.
  const usual =
    lastHour === undefined
      ? []
      : [
          ...within,
          {
            ...lastHour,
            timestamp: new Date(Math.min(range.toMs, Date.parse(lastHour.timestamp) + HOUR_MS)).toISOString(),
          },
        ];
  const predicted = forecast?.predictions ?? [];
  const last = raw?.points.at(-1);
  const joined = uPlot.join([
    columns(measured, [({ mean }) => mean, ({ min }) => min, ({ max }) => max], ({ ms }) => ms),
    columns(fixed, [({ mean }) => mean], ({ ms }) => ms),
    columns(usual, [({ lower }) => lower, ({ upper }) => upper], ({ timestamp }) => Date.parse(timestamp)),
    columns(
      // The forecast begins where the line ends.
      predicted.length === 0 || last === undefined
        ? []
        : [
            { timestamp: new Date(last.ms).toISOString(), value: last.mean, lower: last.mean, upper: last.mean },
            ...predicted,
          ],
      [({ value }) => value, ({ lower }) => lower, ({ upper }) => upper],
      ({ timestamp }) => Date.parse(timestamp),
    ),
  ] as uPlot.AlignedData[]);
  return joined;
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

function tickText(tick: number, ticks: readonly number[]): string {
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : 1;
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
  return tick.toFixed(digits).replace("-", "−");
}
