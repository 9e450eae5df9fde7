/** The time series of a sensor: uPlot draws it, and mouse, fingers and keys move in it. */
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import type uPlot from "uplot";
import type { Anomaly, Calibration, DriftPrediction, ExpectedHour } from "../../api.ts";
import { formatTime, formatValue } from "../../format.ts";
import { usePlot } from "../../parts/use-plot.ts";
import { anomalyAt, optionsOf, readoutOf, sizeOf } from "./drawing.ts";
import { listenForGestures, type Gesture } from "./gestures.ts";
import { panned, zoomed, type Range } from "./range.ts";
import type { Series } from "./series.ts";
import { tableOf } from "./table.ts";

export interface ChartProps {
  /** What is shown, a forecast that goes on beyond the readings included. */
  range: Range;
  /** Where what was measured ends at the latest, epoch milliseconds. */
  measuredToMs: number;
  unit: string;
  raw: Series | undefined;
  corrected: Series | undefined;
  expected: readonly ExpectedHour[];
  forecast: DriftPrediction | undefined;
  anomalies: readonly Anomaly[];
  calibrations: readonly Calibration[];
  selected: number | null;
  onRange: (range: Range) => void;
  onSelect: (anomaly: Anomaly) => void;
  /** Goes to what is said of the anomaly that is selected. */
  onEnter: () => void;
}

const ZOOM = 1.6;
const PAN = 0.25;

export function Chart(props: ChartProps) {
  const { range, measuredToMs, unit, raw, corrected, expected, forecast, anomalies, calibrations, selected } = props;
  const latest = useRef(props);
  latest.current = props;
  const gesture = useRef<Gesture>({ shown: null }).current;
  const [readout, setReadout] = useState("");
  const [said, setSaid] = useState("");
  const table = useMemo(
    () => tableOf({ raw, corrected, expected, expectedToMs: measuredToMs, forecast }),
    [raw, corrected, expected, measuredToMs, forecast],
  );
  const { host, plot } = usePlot(unit, sizeOf, (element) => ({
    options: optionsOf(element, latest, {
      zoomed: (fromMs, toMs) => latest.current.onRange(zoomed({ fromMs, toMs, follows: false }, 1)),
      zoomedOut: () => latest.current.onRange(zoomed(latest.current.range, ZOOM)),
      pointedAt: (u) => setReadout(readoutOf(u, latest.current.unit)),
    }),
    data: table,
  }));

  useLayoutEffect(() => {
    if (plot === null) return;
    plot.over.addEventListener("click", (event) => {
      const hit = anomalyAt(plot, latest.current.anomalies, event.offsetX, event.offsetY);
      if (hit !== undefined) latest.current.onSelect(hit);
    });
    return listenForGestures(plot, {
      gesture,
      range: () => latest.current.range,
      show: (shown) => show(plot, shown),
      tell: (shown) => latest.current.onRange(shown),
    });
  }, [plot]);
  useLayoutEffect(() => {
    if (plot === null) return;
    plot.batch(() => {
      plot.setData(table, false);
      show(plot, gesture.shown ?? range);
    });
  }, [plot, table, range.fromMs, range.toMs]);
  useLayoutEffect(() => plot?.redraw(), [plot, anomalies, calibrations, selected]);

  const keyed = (event: React.KeyboardEvent) => {
    const to = rangeOfKey(event.key, range);
    const anomaly = anomalyOfKey(event.key, anomalies, selected);
    if (to !== null) {
      props.onRange(to);
      setSaid(wordsOf(to));
    } else if (anomaly !== undefined) {
      props.onSelect(anomaly);
      setSaid(`Anomaly of ${formatTime(anomaly.timestamp, Date.now())}, ${anomaly.severity}. Enter says why.`);
    } else if (event.key === "Enter" && selected !== null) props.onEnter();
    else return;
    event.preventDefault();
  };
  return (
    <figure className="chart">
      <div
        ref={host}
        className="chart-plot"
        role="application"
        aria-roledescription="chart"
        aria-label={`Readings in ${unit}. Left and right move in time, plus and minus zoom, up and down go from anomaly to anomaly, Enter to what is said of it.`}
        tabIndex={0}
        onKeyDown={keyed}
      />
      <figcaption className="readout quiet">
        {readout === "" ? describe(raw, unit) : readout}
        <span className="hint hint-mouse"> Drag to zoom, with Shift to move; Ctrl and wheel zoom.</span>
        <span className="hint hint-touch"> Drag to move, pinch to zoom.</span>
        <span className="hint hint-keys"> Keys: ← → move, + − zoom, ↑ ↓ anomalies, Enter why.</span>
      </figcaption>
      <span className="visually-hidden" role="status">
        {said}
      </span>
    </figure>
  );
}

const show = (plot: uPlot, { fromMs, toMs }: Range): void =>
  plot.setScale("x", { min: fromMs / 1000, max: toMs / 1000 });

function rangeOfKey(key: string, range: Range): Range | null {
  if (key === "ArrowLeft") return panned(range, -PAN);
  if (key === "ArrowRight") return panned(range, PAN);
  if (key === "PageUp") return panned(range, -1);
  if (key === "PageDown") return panned(range, 1);
  if (key === "+" || key === "=") return zoomed(range, 1 / ZOOM);
  return key === "-" ? zoomed(range, ZOOM) : null;
}

/** Up is later, as the list below has it; at the ends it stays. */
function anomalyOfKey(key: string, anomalies: readonly Anomaly[], selected: number | null): Anomaly | undefined {
  if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
  const newestFirst = anomalies.toSorted((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp));
  const place = newestFirst.findIndex(({ id }) => id === selected);
  if (place < 0) return newestFirst[0];
  return newestFirst[Math.max(0, Math.min(newestFirst.length - 1, place + (key === "ArrowUp" ? -1 : 1)))];
}

const wordsOf = ({ fromMs, toMs }: Range): string =>
  `${formatTime(fromMs, Date.now())} to ${formatTime(toMs, Date.now())}`;

function describe(raw: Series | undefined, unit: string): string {
  if (raw === undefined) return "Loading…";
  if (raw.points.length === 0) return "No readings in this period.";
  const low = raw.points.reduce((least, { min }) => Math.min(least, min), Infinity);
  const high = raw.points.reduce((most, { max }) => Math.max(most, max), -Infinity);
  const each = raw.resolution === 0 ? "every reading" : `means of ${stepWords(raw.resolution)} with their extremes`;
  return `${formatValue(low)} to ${formatValue(high)} ${unit}; ${each}.`;
}

const stepWords = (seconds: number): string =>
  seconds < 3600 ? `${seconds / 60} min` : seconds < 86_400 ? `${seconds / 3600} h` : `${seconds / 86_400} d`;
