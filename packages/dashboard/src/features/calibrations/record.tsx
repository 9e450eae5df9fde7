/** A calibration is recorded: the reference's value, and what that would change. */
import { CALIBRATION_METHODS } from "@calibration/shared/calibration.ts";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask, query, type Bucket, type Calibration, type Page, type Reading } from "../../api.ts";
import { formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button, Select, TextInput } from "../../parts/controls.tsx";
import { Problem } from "../../parts/problem.tsx";
import { SensorChoice } from "../../parts/sensor-choice.tsx";
import { Answered } from "../../parts/states.tsx";
import { calibrationsQuery, keys, sensorsQuery, type ListedSensor } from "../../queries.ts";
import { readParams, type Method, type Typed } from "./params.ts";
import { Preview } from "./preview.tsx";

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
        <SensorChoice label="Sensor" chosen={given} onChoose={setSensorId} autoFocus={given === null} />
        {sensor !== undefined && <Entry key={sensor.id} sensor={sensor} onDone={onClose} />}
      </div>
    </Card>
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
