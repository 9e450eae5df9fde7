/** The readings of a sensor in a chart, with what else is drawn there, and what of time is shown. */
import { useQuery } from "@tanstack/react-query";
import type { Anomaly, Calibration, DriftPrediction, Sensor } from "../../api.ts";
import { formatDrift, formatPercent, formatShare, formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button, Segments } from "../../parts/controls.tsx";
import { Failing } from "../../parts/states.tsx";
import { Time } from "../../parts/time.tsx";
import { algorithmWord } from "../models/quality.ts";
import { Chart } from "./chart.tsx";
import { forecastOf, HOUR_MS, panned, SPAN_DEFAULT_HOURS, SPANS, zoomed, type Range } from "./range.ts";
import { correctedQuery, expectedQuery, forecastQuery, measuredQuery } from "./series.ts";
import { toleranceWords } from "./tolerance.ts";

const NONE: readonly never[] = [];

export function Readings({
  sensor,
  range,
  nowMs,
  span,
  anomalies,
  withFlags,
  calibrations,
  selected,
  onSpan,
  onRange,
  onSelect,
  onEnter,
}: {
  sensor: Sensor;
  range: Range;
  nowMs: number;
  /** Hours that follow now, where that was asked for. */
  span: number | undefined;
  anomalies: readonly Anomaly[];
  withFlags: boolean;
  calibrations: readonly Calibration[] | undefined;
  selected: number | null;
  onSpan: (hours: number) => void;
  onRange: (range: Range) => void;
  onSelect: (anomaly: Anomaly) => void;
  onEnter: () => void;
}) {
  const measured = useQuery(measuredQuery(sensor.id, range));
  const needsBuckets = measured.data !== undefined && measured.data.corrected === null;
  const corrected = useQuery(correctedQuery(sensor.id, range, needsBuckets));
  const expected = useQuery(expectedQuery(sensor.id, range)).data?.results ?? NONE;
  const asked = forecastOf(range, nowMs);
  const forecast = useQuery(forecastQuery(sensor.id, asked)).data;
  const showsForecast = asked !== null && (forecast?.predictions.length ?? 0) > 0;
  // In a period with gaps of its own a series would otherwise keep showing what was there before.
  const correctedSeries = measured.data?.corrected ?? (needsBuckets ? corrected.data : undefined);
  const isCorrected = correctedSeries !== undefined && (calibrations?.length ?? 0) > 0;
  // What follows now is continued by its forecast.
  const visible: Range =
    showsForecast && range.follows ? { ...range, toMs: range.toMs + asked.horizon * HOUR_MS } : range;
  return (
    <Card
      title="Readings"
      actions={
        <div className="chart-tools">
          <Segments
            label="Range"
            options={SPANS}
            value={range.follows ? String(span ?? SPAN_DEFAULT_HOURS) : null}
            onChange={(hours) => onSpan(Number(hours))}
          />
          <Moves range={visible} onRange={onRange} />
        </div>
      }
    >
      <div className="card-body">
        <ul className="legend chart-legend" aria-label="Lines in the chart">
          <li className="key-raw">measured</li>
          {isCorrected && <li className="key-corrected">corrected</li>}
          {expected.length > 0 && <li className="key-expected">usual at that hour</li>}
          {showsForecast && <li className="key-forecast">forecast with its 90 % interval</li>}
          <li className="key-alarm key-dot">alarm</li>
          {withFlags && <li className="key-flag key-dot">flag</li>}
        </ul>
        {measured.isError && measured.data === undefined ? (
          <Failing what="the readings" query={measured} />
        ) : (
          <Chart
            range={visible}
            measuredToMs={Math.min(range.toMs, nowMs + HOUR_MS)}
            unit={sensor.unit}
            raw={measured.data?.raw}
            corrected={isCorrected ? correctedSeries : undefined}
            expected={expected}
            forecast={showsForecast ? forecast : undefined}
            anomalies={anomalies}
            calibrations={calibrations ?? NONE}
            selected={selected}
            onRange={onRange}
            onSelect={onSelect}
            onEnter={onEnter}
          />
        )}
        {forecast !== undefined && showsForecast && <ForecastWords forecast={forecast} sensor={sensor} />}
      </div>
    </Card>
  );
}

function Moves({ range, onRange }: { range: Range; onRange: (range: Range) => void }) {
  const moves = [
    { name: "Earlier", sign: "←", to: panned(range, -0.5) },
    { name: "Later", sign: "→", to: panned(range, 0.5) },
    { name: "Zoom in", sign: "+", to: zoomed(range, 0.5) },
    { name: "Zoom out", sign: "−", to: zoomed(range, 2) },
  ];
  return (
    <div className="chart-moves" role="group" aria-label="Move and zoom">
      {moves.map(({ name, sign, to }) => (
        <Button key={name} aria-label={name} onPress={() => onRange(to)}>
          {sign}
        </Button>
      ))}
    </div>
  );
}

function ForecastWords({ forecast, sensor: { unit, settings } }: { forecast: DriftPrediction; sensor: Sensor }) {
  const last = forecast.predictions.at(-1)!;
  const { slope, skill, fallback_reason: fallback, remark } = forecast;
  return (
    <p className="quiet forecast-words">
      Forecast by {forecast.method === "trend" ? "a straight line" : algorithmWord(forecast.method)}
      {forecast.model_version === null ? "" : ` v${forecast.model_version}`}:{" "}
      {last.lower === last.upper
        ? `${formatValue(last.value)} ${unit}, how surely is not known,`
        : `between ${formatValue(last.lower)} and ${formatValue(last.upper)} ${unit}`}{" "}
      by <Time at={last.timestamp} />, drift {formatDrift(last.drift)}
      {slope !== null && `; ${formatPercent(slope.percent_per_day)} a day`}
      {skill !== null && skill > 0 && `; in its back-test it erred ${formatShare(skill)} less than the last value`}.
      {toleranceWords(forecast, settings.tolerance, unit)}
      {remark !== null && ` Take care: ${remark}.`}
      {fallback !== null && ` The model did not answer: ${fallback.replaceAll("_", " ")}.`}
      {forecast.unreferenced && " The sensor was never calibrated: the trend may be the process’s own."}
    </p>
  );
}
