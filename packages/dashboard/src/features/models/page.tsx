/** The models: which are in use and how good they are, what came before them, and training now. */
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { ask, query, type Model, type Page } from "../../api.ts";
import { formatCount, formatShare } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button, Segments } from "../../parts/controls.tsx";
import { Pager } from "../../parts/pager.tsx";
import { Problem } from "../../parts/problem.tsx";
import { SensorChoice } from "../../parts/sensor-choice.tsx";
import { SensorLink } from "../../parts/sensor-link.tsx";
import { PageHead } from "../../parts/page-head.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Age } from "../../parts/time.tsx";
import { keys, useSensorsById } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { PlantFalseAlarms } from "./false-alarms.tsx";
import "./models.css";
import { algorithmWord, qualityOf } from "./quality.ts";
import { Runs } from "./runs.tsx";
import { Training } from "./training.tsx";
import { Versions } from "./versions.tsx";

const PAGE = 100;
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
  const { sensor } = useSearch({ from: "/models" });
  const navigate = useNavigate({ from: "/models" });
  const [jobId, setJobId] = useState<string | null>(null);
  const training = useMutation({
    mutationFn: (asked: Asked) =>
      ask<{ job_id: string }>("/api/model-training/?async=true", { method: "POST", body: asked }),
    onSuccess: ({ job_id: id }) => setJobId(id),
  });
  return (
    <>
      <PageHead title="Models">
        {may.operate && (
          <Button
            kind="primary"
            isBusy={training.isPending}
            onPress={() => training.mutate({ sensor_id: sensor ?? "all", model_type: "all" })}
          >
            {sensor === undefined ? "Train all now" : "Train all of this sensor now"}
          </Button>
        )}
      </PageHead>
      <Problem of={training} />
      {jobId !== null && <Training key={jobId} jobId={jobId} onClose={() => setJobId(null)} />}
      {sensor === undefined && (
        <>
          <Quality />
          <PlantFalseAlarms />
        </>
      )}
      <div className="model-find">
        <SensorChoice
          key={sensor ?? "all"}
          label="Models of one sensor"
          chosen={sensor ?? null}
          onChoose={(id) => id !== null && void navigate({ search: { sensor: id }, resetScroll: false })}
        />
        {sensor !== undefined && <Button onPress={() => void navigate({ search: {} })}>All sensors</Button>}
      </div>
      <InUse
        key={sensor ?? "all"}
        sensorId={sensor}
        {...(may.operate ? { train: (asked: Asked) => training.mutate(asked) } : {})}
      />
      <Runs sensorId={sensor} />
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

const COLUMNS: readonly Column<Model>[] = [
  { name: "Sensor", cell: ({ sensor_id: id }) => <SensorLink id={id} /> },
  {
    name: "Model",
    isWhole: true,
    cell: (model) => (
      <span>
        <span className="capital">{model.model_type}</span> v{model.version}
        <span className="quiet">, {algorithmWord(model.algorithm)}</span>
      </span>
    ),
  },
  { name: "Measured quality", cell: (model) => qualityOf(model) },
  { name: "Samples", isNumber: true, cell: ({ samples }) => formatCount(samples) },
  { name: "Trained", isWhole: true, cell: (model) => <Age at={model.trained_at} /> },
];

/** A row stays the same row when a newer version takes its place. */
const rowOf = ({ sensor_id: id, model_type: type }: Model): string => `${id} ${type}`;

function InUse({ sensorId, train }: { sensorId: number | undefined; train?: (asked: Asked) => void }) {
  const [type, setType] = useState("all");
  const [open, setOpen] = useState<string | null>(null);
  const sensors = useSensorsById();
  const nameOf = ({ sensor_id: id }: Model) => sensors.get(id)?.name ?? `Sensor ${id}`;
  const models = useInfiniteQuery({
    queryKey: [...keys.models, "current", type, sensorId ?? "all"],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Model>>(
        `/api/model-training/${query({ current: true, limit: PAGE, cursor: pageParam, sensor_id: sensorId, model_type: type === "all" ? null : type })}`,
        { signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
  });
  const actions: Column<Model> = {
    name: "What to do",
    isActions: true,
    cell: (model) => (
      <>
        <Button
          kind="plain"
          aria-expanded={open === rowOf(model)}
          onPress={() => setOpen(open === rowOf(model) ? null : rowOf(model))}
        >
          Versions
          <span className="visually-hidden"> of {model.model_name}</span>
        </Button>
        {train !== undefined && (
          <Button kind="plain" onPress={() => train({ sensor_id: model.sensor_id, model_type: model.model_type })}>
            Train now
            <span className="visually-hidden"> {model.model_name}</span>
          </Button>
        )}
      </>
    ),
  };
  return (
    <Card title="In use" actions={<Segments label="Type of model" options={TYPES} value={type} onChange={setType} />}>
      <Answered what="the models" query={models}>
        {({ pages }) => {
          const all = pages
            .flatMap(({ results }) => results)
            .toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)) || a.model_type.localeCompare(b.model_type));
          return all.length > 0 ? (
            <Table
              columns={[...COLUMNS, actions]}
              rows={all}
              keyOf={rowOf}
              detailOf={(model) => open === rowOf(model) && <Versions model={model} />}
            />
          ) : (
            <Empty title="No models yet">
              <p>
                A model is trained when a sensor has enough data: 10 readings for anomalies, 20 for drift, 5
                calibrations for calibration. Until then simple rules judge.
              </p>
            </Empty>
          );
        }}
      </Answered>
      <Pager list={models}>Show more</Pager>
    </Card>
  );
}
