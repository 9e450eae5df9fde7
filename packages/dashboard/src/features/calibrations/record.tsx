/** A calibration is recorded: the reference's value, and what that would change. */
import { CALIBRATION_METHODS } from "@calibration/shared/calibration.ts";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState, type FormEvent } from "react";
import { ask, query, type Bucket, type Calibration, type Page, type Reading } from "../../api.ts";
import { formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Combo } from "../../parts/combo.tsx";
import { Button, Select, TextInput } from "../../parts/controls.tsx";
import { Problem } from "../../parts/problem.tsx";
import { Answered, Loading } from "../../parts/states.tsx";
import { calibrationsQuery, keys, sensorsQuery, type ListedSensor } from "../../queries.ts";
import { readParams, type Method, type Typed } from "./params.ts";
import { Preview } from "./preview.tsx";

const SENSORS_OFFERED = 30;
/** The platform takes the mean of so many good readings before a calibration for what the sensor said. */
const READINGS_BEFORE = 3;
const READINGS_ASKED = 20;
const LOOK_MS = 5_000;
const DAY_MS = 86_400_000;
const METHODS = CALIBRATION_METHODS.map((id) => ({ id, label: id }));
const NOTHING: Typed = { method: "linear", slope: "", intercept: "", coefficients: "", points: "" };

export function RecordCalibration({ sensorId: given, onClose }: { sensorId: number | null; onClose: () => void }) {
  const sensors = useQuery(sensorsQuery);
  const [sensorId, setSensorId] = useState(given);
  const sensor = sensors.data?.all.find(({ id }) => id === sensorId);
  return (
    <Card
      title="Record a calibration"
      actions={
        <Button kind="plain" onPress={onClose}>
          Close
        </Button>
      }
    >
      <div className="card-body">
        <Answered what="the sensors" query={sensors}>
          {({ all, isWhole }) =>
            isWhole || given === null || all.some(({ id }) => id === given) ? (
              <SensorChoice sensors={all} chosen={given} onChoose={setSensorId} />
            ) : (
              <Loading what="the sensors" />
            )
          }
        </Answered>
        {sensor !== undefined && <Entry key={sensor.id} sensor={sensor} onDone={onClose} />}
      </div>
    </Card>
  );
}

const nameOf = ({ id, name, site }: ListedSensor): string => `${name} (${id}, ${site})`;

function SensorChoice({
  sensors,
  chosen,
  onChoose,
}: {
  sensors: readonly ListedSensor[];
  chosen: number | null;
  onChoose: (id: number | null) => void;
}) {
  const [typed, setTyped] = useState(() => {
    const first = sensors.find(({ id }) => id === chosen);
    return first === undefined ? "" : nameOf(first);
  });
  const offered = useMemo(() => {
    const words = typed.toLowerCase().split(/\s+/);
    return sensors
      .filter((sensor) => words.every((word) => `${nameOf(sensor)} ${sensor.key}`.toLowerCase().includes(word)))
      .slice(0, SENSORS_OFFERED)
      .map((sensor) => ({ id: sensor.id, label: nameOf(sensor) }));
  }, [sensors, typed]);
  return (
    <Combo
      label="Sensor"
      opens="Show the sensors"
      placeholder="Name or id"
      autoFocus={chosen === null}
      offered={offered}
      typed={typed}
      onType={setTyped}
      onChoose={(key) => {
        const found = sensors.find(({ id }) => id === key);
        onChoose(found?.id ?? null);
        if (found !== undefined) setTyped(nameOf(found));
      }}
    />
  );
}

function Entry({ sensor, onDone }: { sensor: ListedSensor; onDone: () => void }) {
  const client = useQueryClient();
  const [reference, setReference] = useState("");
  const [typed, setTyped] = useState(NOTHING);
  const type = (name: keyof Typed) => (value: string) => setTyped((before) => ({ ...before, [name]: value }));
  const earlier = useQuery(calibrationsQuery(sensor.id));
  const newest = useQuery({
    queryKey: ["newest readings", sensor.id],
    queryFn: ({ signal }) =>
      ask<Page<Reading>>(`/api/readings/${query({ sensor_id: sensor.id, limit: READINGS_ASKED })}`, { signal }),
    refetchInterval: LOOK_MS,
  });
  const day = useQuery({
    queryKey: ["last day", sensor.id],
    queryFn: ({ signal }) => {
      const from = new Date(Date.now() - DAY_MS).toISOString();
      const asked = query({ sensor_id: sensor.id, resolution: "auto", order: "asc", from });
      return ask<Page<Bucket>>(`/api/readings/${asked}`, { signal });
    },
  });
  const good = (newest.data?.results ?? []).filter(({ quality }) => quality === "good").slice(0, READINGS_BEFORE);
  const raw = good.length === 0 ? null : good.reduce((sum, one) => sum + one.raw_value, 0) / good.length;
  const value = reference.trim() === "" ? Number.NaN : Number(reference);
  const params = readParams(typed);
  const saving = useMutation({
    mutationFn: () =>
      ask<Calibration>("/api/calibrations/", {
        method: "POST",
        body: {
          sensor_id: sensor.id,
          method: typed.method,
          corrected_value: value,
          ...(params === null ? {} : { params }),
        },
      }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.calibrations });
      onDone();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <div className="record">
      <form onSubmit={submit}>
        <TextInput
          label={`The reference says, ${sensor.unit}`}
          inputMode="decimal"
          value={reference}
          onChange={setReference}
          isRequired
          autoFocus
          description={
            raw === null
              ? "The sensor has no readings: this will not count towards a model"
              : `The sensor says ${formatValue(raw)} ${sensor.unit}, ${good.length === 1 ? "by its only reading before" : `the mean of its last ${good.length} readings`}`
          }
        />
        <Select
          label="Method"
          options={METHODS}
          value={typed.method}
          onChange={(method) => setTyped((before) => ({ ...before, method: method as Method }))}
        />
        {typed.method === "linear" && (
          <div className="pair-fields">
            <TextInput label="Slope" inputMode="decimal" value={typed.slope} onChange={type("slope")} />
            <TextInput label="Intercept" inputMode="decimal" value={typed.intercept} onChange={type("intercept")} />
          </div>
        )}
        {typed.method === "polynomial" && (
          <TextInput
            label="Coefficients"
            value={typed.coefficients}
            onChange={type("coefficients")}
            description="c0, c1, c2 …: c0 + c1 × measured + c2 × measured²"
          />
        )}
        {typed.method === "custom" && (
          <TextInput
            label="Points"
            isMultiline
            value={typed.points}
            onChange={type("points")}
            description="One a line: measured, correct. Straight lines between them"
          />
        )}
        <p className="quiet">Parameters may be left out: then the model learns from the references alone.</p>
        {typeof params === "string" && <p className="problem">{params}</p>}
        <Problem of={saving} />
        <div className="actions">
          <Button
            type="submit"
            kind="primary"
            isDisabled={!Number.isFinite(value) || typeof params === "string"}
            isBusy={saving.isPending}
          >
            Record it
          </Button>
        </div>
      </form>
      <Answered what="the earlier calibrations" query={earlier}>
        {({ results }) => (
          <Preview
            unit={sensor.unit}
            method={typed.method}
            params={typeof params === "string" ? null : params}
            earlier={results}
            raw={raw}
            reference={Number.isFinite(value) ? value : null}
            day={day.data?.results ?? NO_BUCKETS}
          />
        )}
      </Answered>
    </div>
  );
}

const NO_BUCKETS: readonly Bucket[] = [];
