/** The models: which are in use and how good they are, what came before them, and training now. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useMemo, useState } from "react";
import { ask, problemText, query, type Model, type Page, type TrainingRun } from "../../api.ts";
import { formatCount, formatShare } from "../../format.ts";
import { Button, Segments } from "../../parts/controls.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Age, Time } from "../../parts/time.tsx";
import { keys, sensorsQuery } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import "./models.css";
import { algorithmWord, qualityOf } from "./quality.ts";
import { Training } from "./training.tsx";

const PAGE = 100;
const RUNS_SHOWN = 20;
const TYPES = [
  { id: "all", label: "All" },
  { id: "anomaly", label: "Anomaly" },
  { id: "drift", label: "Drift" },
  { id: "calibration", label: "Calibration" },
];

interface Asked {
  sensor_id: number | "all";
  model_type: string;
}

export function ModelsPage() {
  const may = useMay();
  const [jobId, setJobId] = useState<string | null>(null);
  const training = useMutation({
    mutationFn: (asked: Asked) =>
      ask<{ job_id: string }>("/api/model-training/?async=true", { method: "POST", body: asked }),
    onSuccess: ({ job_id: id }) => setJobId(id),
  });
  return (
    <>
      <div className="page-head">
        <h1>Models</h1>
        {may.operate && (
          <Button
            kind="primary"
            isBusy={training.isPending}
            onPress={() => training.mutate({ sensor_id: "all", model_type: "all" })}
          >
            Train all now
          </Button>
        )}
      </div>
      {training.isError && (
        <p className="problem" role="alert">
          {problemText(training.error)}
        </p>
      )}
      {jobId !== null && <Training key={jobId} jobId={jobId} onClose={() => setJobId(null)} />}
      <Quality />
      <InUse {...(may.operate ? { train: (asked: Asked) => training.mutate(asked) } : {})} />
      <Runs />
    </>
  );
}

interface Figure {
  value: number | null;
  samples: number;
  measured_on: string;
  reason: string | null;
}
interface Analytics {
  anomaly_detection_rate: Figure;
  drift_prediction_accuracy: Figure;
  calibration_improvement: Figure;
  models: { total: number; due: number };
}

function Quality() {
  const analytics = useQuery({
    queryKey: [...keys.models, "analytics"],
    queryFn: ({ signal }) => ask<Analytics>("/api/ml-analytics/", { signal }),
  });
  return (
    <section className="card" aria-label="Measured quality">
      <Answered what="the measured quality" query={analytics}>
        {({
          anomaly_detection_rate: found,
          drift_prediction_accuracy: drift,
          calibration_improvement: calibration,
          models,
        }) => (
          <dl className="figures-row">
            <FigureFact name="Injected faults found" figure={found} />
            <FigureFact name="Drift error below the last value’s" figure={drift} />
            <FigureFact name="Error removed by calibration" figure={calibration} />
            <div>
              <dt>Models in use</dt>
              <dd>{formatCount(models.total)}</dd>
              <dd className="quiet">
                {models.due === 0 ? "no sensor is due for training" : `${models.due} due for training`}
              </dd>
            </div>
          </dl>
        )}
      </Answered>
    </section>
  );
}

function FigureFact({ name, figure }: { name: string; figure: Figure }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{formatShare(figure.value)}</dd>
      <dd className="quiet" title={figure.measured_on}>
        {figure.reason ?? `measured on ${formatCount(figure.samples)} held-out samples`}
      </dd>
    </div>
  );
}

function InUse({ train }: { train?: (asked: Asked) => void }) {
  const [type, setType] = useState("all");
  const [open, setOpen] = useState<string | null>(null);
  const { data: sensors } = useQuery(sensorsQuery);
  const names = useMemo(() => new Map(sensors?.map(({ id, name }) => [id, name])), [sensors]);
  const models = useInfiniteQuery({
    queryKey: [...keys.models, "current", type],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Model>>(
        `/api/model-training/${query({ current: true, limit: PAGE, cursor: pageParam, model_type: type === "all" ? null : type })}`,
        { signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
  });
  return (
    <section className="card" aria-labelledby="in-use-title">
      <div className="card-head">
        <h2 id="in-use-title">In use</h2>
        <Segments label="Type of model" options={TYPES} value={type} onChange={setType} />
      </div>
      <Answered what="the models" query={models}>
        {({ pages }) => {
          const nameOf = ({ sensor_id: id }: Model) => names.get(id) ?? `Sensor ${id}`;
          const all = pages
            .flatMap(({ results }) => results)
            .toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)) || a.model_type.localeCompare(b.model_type));
          if (all.length === 0)
            return (
              <Empty title="No models yet">
                <p>
                  A model is trained when a sensor has enough data: 10 readings for anomalies, 20 for drift, 5
                  calibrations for calibration. Until then simple rules judge.
                </p>
              </Empty>
            );
          return (
            <table className="table stacks">
              <thead>
                <tr>
                  <th>Sensor</th>
                  <th>Model</th>
                  <th>Measured quality</th>
                  <th className="number">Samples</th>
                  <th>Trained</th>
                  <th>
                    <span className="visually-hidden">What to do</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {all.map((model) => (
                  <Fragment key={rowOf(model)}>
                    <tr>
                      <td className="lead">
                        <Link to="/sensors/$sensorId" params={{ sensorId: String(model.sensor_id) }}>
                          {nameOf(model)}
                        </Link>
                      </td>
                      <td data-label="Model" className="whole">
                        <span>
                          <span className="capital">{model.model_type}</span> v{model.version}
                          <span className="quiet">, {algorithmWord(model.algorithm)}</span>
                        </span>
                      </td>
                      <td data-label="Quality">{qualityOf(model).words}</td>
                      <td data-label="Samples" className="number">
                        {formatCount(model.samples)}
                      </td>
                      <td data-label="Trained" className="whole">
                        <Age at={model.trained_at} />
                      </td>
                      <td className="row-actions">
                        <Button
                          kind="plain"
                          aria-expanded={open === rowOf(model)}
                          onPress={() => setOpen(open === rowOf(model) ? null : rowOf(model))}
                        >
                          Versions
                          <span className="visually-hidden"> of {model.model_name}</span>
                        </Button>
                        {train !== undefined && (
                          <Button
                            kind="plain"
                            onPress={() => train({ sensor_id: model.sensor_id, model_type: model.model_type })}
                          >
                            Train now
                            <span className="visually-hidden"> {model.model_name}</span>
                          </Button>
                        )}
                      </td>
                    </tr>
                    {open === rowOf(model) && (
                      <tr>
                        <td colSpan={6} className="versions-cell">
                          <Versions model={model} />
                        </td>
                      </tr>
                    )}
                  </Fragment>
                ))}
              </tbody>
            </table>
          );
        }}
      </Answered>
      {models.hasNextPage && (
        <div className="pager">
          <Button isBusy={models.isFetchingNextPage} onPress={() => void models.fetchNextPage()}>
            Show more
          </Button>
        </div>
      )}
    </section>
  );
}

/** A row stays the same row when a newer version takes its place. */
const rowOf = ({ sensor_id: id, model_type: type }: Model): string => `${id} ${type}`;

function Versions({ model }: { model: Model }) {
  const client = useQueryClient();
  const may = useMay();
  const versions = useQuery({
    queryKey: [...keys.models, "versions", model.sensor_id, model.model_type],
    queryFn: ({ signal }) =>
      ask<Page<Model>>(
        `/api/model-training/${query({ sensor_id: model.sensor_id, model_type: model.model_type, limit: 50 })}`,
        { signal },
      ),
  });
  const promoting = useMutation({
    mutationFn: (id: number) => ask<Model>(`/api/model-training/${id}/promote`, { method: "POST" }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.models }),
  });
  return (
    <Answered what="the versions" query={versions}>
      {({ results }) => (
        <>
          {promoting.isError && (
            <p className="problem" role="alert">
              {problemText(promoting.error)}
            </p>
          )}
          <ul className="versions" aria-label={`Versions of ${model.model_name}`}>
            {results.map((one) => {
              const { value, words } = qualityOf(one);
              return (
                <li key={one.id}>
                  <strong>v{one.version}</strong>
                  <span className="quiet">
                    <Time at={one.trained_at} />, by {one.trigger}
                    {one.due_because !== null && `: ${one.due_because}`}
                  </span>
                  <span className="version-bar" aria-hidden="true">
                    <span style={{ width: `${Math.max(0, Math.min(1, value ?? 0)) * 100}%` }} />
                  </span>
                  <span>{words}</span>
                  <span className="version-do">
                    <a href={`/api/model-training/${one.id}/artifact`} download>
                      Download<span className="visually-hidden"> v{one.version}</span>
                    </a>
                    {one.current ? (
                      <span className="status is-online">in use</span>
                    ) : (
                      may.operate && (
                        <Button isBusy={promoting.isPending} onPress={() => promoting.mutate(one.id)}>
                          Use v{one.version}
                        </Button>
                      )
                    )}
                  </span>
                </li>
              );
            })}
          </ul>
        </>
      )}
    </Answered>
  );
}

const STATUS_WORDS: Readonly<Record<TrainingRun["status"], { word: string; look: string }>> = {
  trained: { word: "Trained", look: "is-online" },
  insufficient_data: { word: "Short of data", look: "is-offline" },
  failed: { word: "Failed", look: "is-critical" },
};
const RUN_FILTERS = [
  { id: "all", label: "All" },
  { id: "failed", label: "Failed" },
  { id: "insufficient_data", label: "Short of data" },
];

export function Runs() {
  const [status, setStatus] = useState("all");
  const runs = useQuery({
    queryKey: [...keys.runs, status],
    queryFn: ({ signal }) =>
      ask<Page<TrainingRun>>(
        `/api/model-training/runs/${query({ limit: RUNS_SHOWN, status: status === "all" ? null : status })}`,
        { signal },
      ),
  });
  return (
    <section className="card" aria-labelledby="runs-title">
      <div className="card-head">
        <h2 id="runs-title">Latest training runs</h2>
        <Segments label="Outcome" options={RUN_FILTERS} value={status} onChange={setStatus} />
      </div>
      <Answered what="the training runs" query={runs}>
        {({ results }) =>
          results.length === 0 ? (
            <Empty title={status === "all" ? "Nothing was trained yet" : "None of these"} />
          ) : (
            <table className="table stacks">
              <thead>
                <tr>
                  <th>Outcome</th>
                  <th>Model</th>
                  <th>Why</th>
                  <th>What happened</th>
                  <th>When</th>
                </tr>
              </thead>
              <tbody>
                {results.map((run) => (
                  <tr key={run.id}>
                    <td className="lead">
                      <span className={`status ${STATUS_WORDS[run.status].look}`}>{STATUS_WORDS[run.status].word}</span>
                    </td>
                    <td data-label="Model">
                      <span>
                        <span className="capital">{run.model_type}</span> of sensor {run.sensor_id}
                      </span>
                    </td>
                    <td data-label="Why">{run.due_because ?? run.trigger}</td>
                    <td data-label="What happened">
                      {run.error ?? `took ${Date.parse(run.finished_at) - Date.parse(run.started_at)} ms`}
                    </td>
                    <td data-label="When">
                      <Age at={run.finished_at} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answered>
    </section>
  );
}
