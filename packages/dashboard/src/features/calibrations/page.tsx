/** The calibrations: what was recorded, and a new one with what it would change before it is saved. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ask, query, type Calibration, type Page } from "../../api.ts";
import { formatValue } from "../../format.ts";
import { Button } from "../../parts/controls.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Time } from "../../parts/time.tsx";
import { keys, sensorsQuery } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import "./calibrations.css";
import { RecordCalibration } from "./record.tsx";

const PAGE = 100;

export function CalibrationsPage() {
  const may = useMay();
  const [isRecording, setRecording] = useState(false);
  return (
    <>
      <div className="page-head">
        <h1>Calibrations</h1>
        {may.operate && !isRecording && (
          <Button kind="primary" onPress={() => setRecording(true)}>
            Record a calibration
          </Button>
        )}
      </div>
      {isRecording && <RecordCalibration onClose={() => setRecording(false)} />}
      <History />
    </>
  );
}

function describeParams({ params }: Calibration): string {
  if (params === null || params === undefined) return "none given";
  const { slope, intercept, coefficients, points } = params as {
    slope?: number;
    intercept?: number;
    coefficients?: number[];
    points?: [number, number][];
  };
  if (slope !== undefined) return `slope ${formatValue(slope)}, intercept ${formatValue(intercept)}`;
  if (coefficients !== undefined) return coefficients.map((one) => formatValue(one)).join(", ");
  return `${points?.length ?? 0} points`;
}

function History() {
  const { data: sensors } = useQuery(sensorsQuery);
  const byId = useMemo(() => new Map(sensors?.map((sensor) => [sensor.id, sensor])), [sensors]);
  const calibrations = useInfiniteQuery({
    queryKey: [...keys.calibrations, "all"],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Calibration>>(`/api/calibrations/${query({ limit: PAGE, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
  });
  return (
    <section className="card" aria-labelledby="history-title">
      <div className="card-head">
        <h2 id="history-title">History</h2>
      </div>
      <Answered what="the calibrations" query={calibrations}>
        {({ pages }) => {
          const all = pages.flatMap(({ results }) => results);
          if (all.length === 0)
            return (
              <Empty title="No calibration yet">
                <p>
                  Hold a sensor against a reference and record what the reference said: from five of them a model learns
                  the correction.
                </p>
              </Empty>
            );
          return (
            <table className="table stacks">
              <thead>
                <tr>
                  <th>Sensor</th>
                  <th>When</th>
                  <th>Method</th>
                  <th className="number">Measured</th>
                  <th className="number">Reference</th>
                  <th className="number">Difference</th>
                  <th>Parameters</th>
                </tr>
              </thead>
              <tbody>
                {all.map((one) => {
                  const sensor = byId.get(one.sensor_id);
                  const unit = sensor?.unit ?? "";
                  return (
                    <tr key={one.id}>
                      <td className="lead">
                        <Link to="/sensors/$sensorId" params={{ sensorId: String(one.sensor_id) }}>
                          {sensor?.name ?? `Sensor ${one.sensor_id}`}
                        </Link>
                      </td>
                      <td data-label="When">
                        <Time at={one.applied_at} />
                      </td>
                      <td data-label="Method">{one.method}</td>
                      <td data-label="Measured" className="number">
                        {one.raw_value === null ? "no readings" : `${formatValue(one.raw_value)} ${unit}`}
                      </td>
                      <td data-label="Reference" className="number">
                        {formatValue(one.corrected_value)} {unit}
                      </td>
                      <td data-label="Difference" className="number">
                        {one.raw_value === null ? "–" : `${formatValue(one.corrected_value - one.raw_value)} ${unit}`}
                      </td>
                      <td data-label="Parameters" className="quiet">
                        {describeParams(one)}
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          );
        }}
      </Answered>
      {calibrations.hasNextPage && (
        <div className="pager">
          <Button isBusy={calibrations.isFetchingNextPage} onPress={() => void calibrations.fetchNextPage()}>
            Show earlier ones
          </Button>
        </div>
      )}
    </section>
  );
}
