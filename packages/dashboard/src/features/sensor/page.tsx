/** One sensor: what it measured and what that was corrected to, what was strange, where it is going, and what it is judged by. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import {
  ApiError,
  ask,
  query,
  type Anomaly,
  type Calibration,
  type DriftPrediction,
  type Model,
  type Page,
  type Sensor,
} from "../../api.ts";
import { formatCount, formatDrift, formatFigure, formatShare, formatValue } from "../../format.ts";
import { followSensor } from "../../live.ts";
import { Button, Checkbox, Segments } from "../../parts/controls.tsx";
import { Empty, Failing, Loading } from "../../parts/states.tsx";
import { Status } from "../../parts/status.tsx";
import { Age, Time, useNow } from "../../parts/time.tsx";
import { anomaliesQuery, keys, sensorQuery } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { Explanation } from "../anomalies/explanation.tsx";
import { Resolve } from "../anomalies/resolve.tsx";
import { Severity } from "../anomalies/severity.tsx";
import { METHOD_WORDS, typeWord } from "../anomalies/words.ts";
import { algorithmWord, qualityOf } from "../models/quality.ts";
import { Chart } from "./chart.tsx";
import { forecastOf, HOUR_MS, panned, rangeOf, SPANS, zoomed, type Range, type RangeSearch } from "./range.ts";
import "./sensor.css";
import { correctedQuery, expectedQuery, forecastQuery, measuredQuery } from "./series.ts";
import { SensorSettings } from "./settings.tsx";

const ANOMALIES_SHOWN = 200;
const NEW_READING_MS = 2_000;

export function SensorPage() {
  const { sensorId } = useParams({ from: "/sensors/$sensorId" });
  const id = Number(sensorId);
  const sensor = useQuery(sensorQuery(id));
  if (sensor.isPending)
    return (
      <div className="card">
        <Loading what="the sensor" />
      </div>
    );
  if (sensor.data === undefined)
    return (
      <div className="card">
        {sensor.error instanceof ApiError && sensor.error.status === 404 ? (
          <Empty title={`There is no sensor ${sensorId}`}>
            <Link to="/">To the plant</Link>
          </Empty>
        ) : (
          <Failing what="the sensor" query={sensor} />
        )}
      </div>
    );
  return <OneSensor key={id} sensor={sensor.data} refresh={() => void sensor.refetch()} />;
}

function OneSensor({ sensor, refresh }: { sensor: Sensor; refresh: () => void }) {
  const search = useSearch({ from: "/sensors/$sensorId" });
  const navigate = useNavigate({ from: "/sensors/$sensorId" });
  const [withFlags, setWithFlags] = useState(false);
  const now = useNow(15_000);
  const range = useMemo(() => rangeOf(search, now), [search, now]);
  const change = (part: RangeSearch) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true, resetScroll: false });
  const setRange = ({ fromMs, toMs }: Range) =>
    void navigate({
      search: ({ anomaly }) => ({ from: fromMs, to: toMs, ...(anomaly === undefined ? {} : { anomaly }) }),
      replace: true,
      resetScroll: false,
    });

  const measured = useQuery(measuredQuery(sensor.id, range));
  const needsBuckets = measured.data !== undefined && measured.data.corrected === null;
  const corrected = useQuery(correctedQuery(sensor.id, range, needsBuckets));
  const expected = useQuery(expectedQuery(sensor.id, range));
  const asked = forecastOf(range);
  const forecast = useQuery(forecastQuery(sensor.id, asked));
  const anomalies = useQuery(
    anomaliesQuery({
      sensor_id: sensor.id,
      ...(withFlags ? {} : { alarm: true }),
      // Rounded, so that what follows now is not asked for anew every few seconds; events tell of what is new.
      from: new Date(Math.floor(range.fromMs / 60_000) * 60_000).toISOString(),
      to: new Date(Math.ceil(range.toMs / HOUR_MS) * HOUR_MS).toISOString(),
      limit: ANOMALIES_SHOWN,
    }),
  );
  const calibrations = useQuery({
    queryKey: [...keys.calibrations, { sensor_id: sensor.id }],
    queryFn: ({ signal }) =>
      ask<Page<Calibration>>(`/api/calibrations/${query({ sensor_id: sensor.id, limit: 1000 })}`, { signal }),
  });
  useEffect(() => {
    let due: ReturnType<typeof setTimeout> | undefined;
    const stop = followSensor(sensor.id, () => {
      due ??= setTimeout(() => {
        due = undefined;
        refresh();
      }, NEW_READING_MS);
    });
    return () => {
      clearTimeout(due);
      stop();
    };
  }, [sensor.id]);

  // In a period with gaps of its own a series would otherwise keep showing what was there before.
  const correctedSeries = measured.data?.corrected ?? (needsBuckets ? corrected.data : undefined);
  const isCorrected =
    correctedSeries !== undefined && (calibrations.data?.count ?? 0) > 0 ? correctedSeries : undefined;
  const shown = anomalies.data?.results ?? [];
  const predictions = forecast.data?.predictions ?? [];
  const showsForecast = asked !== null && predictions.length > 0;
  const endMs = showsForecast ? Math.max(range.toMs, range.toMs + asked.horizon * HOUR_MS) : range.toMs;
  return (
    <>
      <div>
        <nav aria-label="Back">
          <Link to="/">Plant</Link> <span className="quiet">/ {sensor.site}</span>
        </nav>
        <div className="page-head sensor-head">
          <h1>{sensor.name}</h1>
          <Status status={sensor.status} />
        </div>
      </div>
      <dl className="card headline">
        <div className="big">
          <dt>Value</dt>
          <dd>
            {formatValue(sensor.value)} <small>{sensor.unit}</small>
          </dd>
        </div>
        <div className="big">
          <dt>Drift from the baseline</dt>
          <dd>{formatDrift(sensor.drift)}</dd>
        </div>
        <div>
          <dt>Baseline</dt>
          <dd>
            {formatValue(sensor.baseline)} {sensor.baseline === null ? "" : sensor.unit}
          </dd>
        </div>
        <div>
          <dt>Last reading</dt>
          <dd>
            <Age at={sensor.last_updated} />
          </dd>
        </div>
        <div>
          <dt>Open alarms</dt>
          <dd>{formatCount(sensor.open_alarms)}</dd>
        </div>
        <div>
          <dt>Subject</dt>
          <dd className="mono">
            readings.{sensor.site}.{sensor.key}
          </dd>
        </div>
      </dl>

      <section className="card" aria-labelledby="chart-title">
        <div className="card-head">
          <h2 id="chart-title">Readings</h2>
          <div className="chart-tools">
            <Segments
              label="Range"
              options={SPANS}
              value={range.follows ? String(search.span ?? 24) : null}
              onChange={(span) =>
                void navigate({
                  search: ({ anomaly }) => ({ span: Number(span), ...(anomaly === undefined ? {} : { anomaly }) }),
                  replace: true,
                  resetScroll: false,
                })
              }
            />
            <div className="chart-moves" role="group" aria-label="Move and zoom">
              <Button aria-label="Earlier" onPress={() => setRange(panned(range, -0.5))}>
                ←
              </Button>
              <Button aria-label="Later" onPress={() => setRange(panned(range, 0.5))}>
                →
              </Button>
              <Button aria-label="Zoom in" onPress={() => setRange(zoomed(range, 0.5))}>
                +
              </Button>
              <Button aria-label="Zoom out" onPress={() => setRange(zoomed(range, 2))}>
                −
              </Button>
            </div>
          </div>
        </div>
        <div className="card-body">
          <ul className="legend" aria-label="Lines in the chart">
            <li className="key-raw">measured</li>
            {isCorrected !== undefined && <li className="key-corrected">corrected</li>}
            {(expected.data?.results.length ?? 0) > 0 && <li className="key-expected">usual at that hour</li>}
            {showsForecast && <li className="key-forecast">forecast with its 90 % interval</li>}
            <li className="key-alarm">alarm</li>
            {withFlags && <li className="key-flag">flag</li>}
          </ul>
          {measured.isError && measured.data === undefined ? (
            <Failing what="the readings" query={measured} />
          ) : (
            <Chart
              range={range}
              endMs={endMs}
              unit={sensor.unit}
              raw={measured.data?.raw}
              corrected={isCorrected}
              expected={expected.data?.results ?? []}
              forecast={showsForecast ? forecast.data : undefined}
              anomalies={shown}
              calibrations={calibrations.data?.results ?? []}
              selected={search.anomaly ?? null}
              onRange={setRange}
              onSelect={(anomaly) => change({ anomaly })}
            />
          )}
          {forecast.data !== undefined && showsForecast && (
            <ForecastWords forecast={forecast.data} unit={sensor.unit} />
          )}
        </div>
      </section>

      <div className="sensor-columns">
        <section className="card" aria-labelledby="anomalies-title">
          <div className="card-head">
            <h2 id="anomalies-title">Anomalies in this period</h2>
            <Checkbox isSelected={withFlags} onChange={setWithFlags}>
              Show the forest’s flags too
            </Checkbox>
          </div>
          {anomalies.isPending ? (
            <Loading what="the anomalies" />
          ) : anomalies.data === undefined ? (
            <Failing what="the anomalies" query={anomalies} />
          ) : shown.length === 0 ? (
            <Empty title="Nothing strange here">
              <p>
                {withFlags
                  ? "Neither alarms nor flags in this period."
                  : "No alarms in this period. Show more time, or the forest’s flags."}
              </p>
            </Empty>
          ) : (
            <AnomalyList
              anomalies={shown}
              unit={sensor.unit}
              selected={search.anomaly ?? null}
              onSelect={(anomaly) => change({ anomaly })}
            />
          )}
        </section>
        <div className="sensor-side">
          <ModelsInUse sensorId={sensor.id} />
          <Calibrations calibrations={calibrations} unit={sensor.unit} />
          <SensorSettings sensor={sensor} />
        </div>
      </div>
    </>
  );
}

function ForecastWords({ forecast, unit }: { forecast: DriftPrediction; unit: string }) {
  const last = forecast.predictions.at(-1)!;
  const { slope, skill, fallback_reason: fallback, remark } = forecast;
  return (
    <p className="quiet forecast-words">
      Forecast by {forecast.method === "trend" ? "a straight line" : algorithmWord(forecast.method)}
      {forecast.model_version === null ? "" : ` v${forecast.model_version}`}: by <Time at={last.timestamp} /> between{" "}
      {formatValue(last.lower)} and {formatValue(last.upper)} {unit}, drift {formatDrift(last.drift)}
      {slope !== null && `; ${formatFigure(slope.percent_per_day)} % a day`}
      {skill !== null && skill > 0 && `; in its back-test it erred ${formatShare(skill)} less than the last value`}.
      {remark !== null && ` Take care: ${remark}.`}
      {fallback !== null && ` The model did not answer: ${fallback.replaceAll("_", " ")}.`}
      {forecast.unreferenced && " The sensor was never calibrated: the trend may be the process’s own."}
    </p>
  );
}

function AnomalyList({
  anomalies,
  unit,
  selected,
  onSelect,
}: {
  anomalies: readonly Anomaly[];
  unit: string;
  selected: number | null;
  onSelect: (id: number | undefined) => void;
}) {
  const may = useMay();
  const [resolving, setResolving] = useState<number | null>(null);
  return (
    <ul className="anomaly-list">
      {anomalies.map((anomaly) => (
        <li key={anomaly.id} className="anomaly">
          <button
            type="button"
            className="anomaly-button"
            aria-expanded={anomaly.id === selected}
            onClick={() => onSelect(anomaly.id === selected ? undefined : anomaly.id)}
          >
            <Severity severity={anomaly.severity} />
            <span>
              <strong>{typeWord(anomaly)}</strong>{" "}
              <span className="quiet">
                by {METHOD_WORDS[anomaly.method]}
                {anomaly.resolved ? ", over" : ", open"}
              </span>
            </span>
            <span className="quiet when">
              <Time at={anomaly.timestamp} />
            </span>
          </button>
          {anomaly.id === selected && (
            <div className="anomaly-detail">
              <Explanation anomaly={anomaly} unit={unit} />
              {may.operate && !anomaly.resolved && (
                <div>
                  <Button onPress={() => setResolving(anomaly.id)}>Resolve…</Button>
                </div>
              )}
            </div>
          )}
        </li>
      ))}
      {resolving !== null && <Resolve ids={[resolving]} onClose={() => setResolving(null)} />}
    </ul>
  );
}

function ModelsInUse({ sensorId }: { sensorId: number }) {
  const models = useQuery({
    queryKey: [...keys.models, { sensor_id: sensorId, current: true }],
    queryFn: ({ signal }) =>
      ask<Page<Model>>(`/api/model-training/${query({ sensor_id: sensorId, current: true })}`, { signal }),
  });
  return (
    <section className="card" aria-labelledby="models-title">
      <div className="card-head">
        <h2 id="models-title">Models in use</h2>
      </div>
      {models.isPending ? (
        <Loading what="the models" />
      ) : models.data === undefined ? (
        <Failing what="the models" query={models} />
      ) : models.data.count === 0 ? (
        <p className="card-body quiet">None yet: simple rules judge until there is enough data to train on.</p>
      ) : (
        <ul className="side-list">
          {models.data.results.map((model) => (
            <li key={model.id}>
              <div>
                <strong className="capital">{model.model_type}</strong> v{model.version},{" "}
                {algorithmWord(model.algorithm)}
              </div>
              <div className="quiet">
                trained <Age at={model.trained_at} /> on {formatCount(model.samples)} samples; {qualityOf(model).words}
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

const CALIBRATIONS_SHOWN = 6;

function Calibrations({
  calibrations,
  unit,
}: {
  calibrations: { data: Page<Calibration> | undefined; isPending: boolean; error: unknown; refetch: () => unknown };
  unit: string;
}) {
  return (
    <section className="card" aria-labelledby="calibrations-title">
      <div className="card-head">
        <h2 id="calibrations-title">Calibrations</h2>
      </div>
      {calibrations.isPending ? (
        <Loading what="the calibrations" />
      ) : calibrations.data === undefined ? (
        <Failing what="the calibrations" query={calibrations} />
      ) : calibrations.data.count === 0 ? (
        <p className="card-body quiet">None recorded: corrected values are the measured ones.</p>
      ) : (
        <ul className="side-list">
          {calibrations.data.results.slice(0, CALIBRATIONS_SHOWN).map((one) => (
            <li key={one.id}>
              <div>
                <Time at={one.applied_at} />, {one.method}
              </div>
              <div className="quiet">
                {one.raw_value === null ? "no reading before it" : `measured ${formatValue(one.raw_value)} ${unit}`},
                reference {formatValue(one.corrected_value)} {unit}
              </div>
            </li>
          ))}
          {calibrations.data.count > CALIBRATIONS_SHOWN && (
            <li className="quiet">and {calibrations.data.count - CALIBRATIONS_SHOWN} earlier ones</li>
          )}
        </ul>
      )}
    </section>
  );
}
