/** What is said of the sensor: shown to everybody, changed by an administrator. */
import { isTimeZone } from "@calibration/models/calendar.ts";
import { FEATURES } from "@calibration/models/isolation-forest.ts";
import { SENSOR_TYPES, type ForestFeature } from "@calibration/shared/sensor.ts";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState, type FormEvent, type ReactNode } from "react";
import { ask, type Sensor } from "../../api.ts";
import { formatFigure, formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Checkboxes } from "../../parts/checkboxes.tsx";
import { Combo } from "../../parts/combo.tsx";
import { Button, Dialog, Select, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { changeOf, DEFAULTS, formOf, problemsOf, wordsOf, type Problems, type SettingsForm } from "./settings-form.ts";

const PROMOTIONS: readonly { id: Sensor["settings"]["promotion"]; label: string }[] = [
  { id: "automatic", label: "used at once" },
  { id: "manual", label: "wait for a person" },
];
const TYPES = SENSOR_TYPES.map((id) => ({ id, label: id }));
const ZONES_OFFERED = 30;

export function SensorSettings({ sensor }: { sensor: Sensor }) {
  const may = useMay();
  const [isEditing, setEditing] = useState(false);
  return (
    <Card
      title="Settings"
      actions={
        may.administer && (
          <Button kind="plain" onPress={() => setEditing(true)}>
            Change…
          </Button>
        )
      }
    >
      <dl className="pairs">
        {rowsOf(sensor).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {isEditing && <Change sensor={sensor} onClose={() => setEditing(false)} />}
    </Card>
  );
}

function rowsOf(sensor: Sensor): [string, string][] {
  const { settings, unit } = sensor;
  const given = (value: number | null, words: (value: string) => string) =>
    value === null ? "none given" : words(formatValue(value));
  return [
    ["Type", sensor.type],
    ["Possible range", rangeWords(sensor)],
    [
      "A reading every",
      sensor.expected_interval_s === null ? "learnt" : `${formatFigure(sensor.expected_interval_s)} s`,
    ],
    ["Fastest change", given(settings.rate_per_minute_max, (most) => `${most} ${unit} a minute`)],
    [
      "Baseline",
      sensor.baseline_given === null ? "measured" : `${formatValue(sensor.baseline_given)} ${unit}, set by a person`,
    ],
    ["Tolerance", given(settings.tolerance, (tolerance) => `± ${tolerance} ${unit}`)],
    ["Drift is told at", settings.drift_levels.map((level) => `${formatFigure(level)} %`).join(", ")],
    ["False alarms a month", formatFigure(settings.false_alarms_per_month)],
    ["New models", PROMOTIONS.find(({ id }) => id === settings.promotion)?.label ?? settings.promotion],
    ["Forest looks at", wordsOf(settings.features)],
    [
      "Forest",
      `${settings.trees} trees of ${settings.subsample} readings; ${formatFigure(settings.contamination * 100)} % flagged`,
    ],
    ["Time zone", settings.time_zone],
  ];
}

function rangeWords({ range_min: low, range_max: high, unit }: Sensor): string {
  if (low === null && high === null) return "none given";
  if (high === null) return `${formatValue(low)} ${unit} or more`;
  if (low === null) return `${formatValue(high)} ${unit} or less`;
  return `${formatValue(low)} to ${formatValue(high)} ${unit}`;
}

function Change({ sensor, onClose }: { sensor: Sensor; onClose: () => void }) {
  const client = useQueryClient();
  const [before] = useState(() => formOf(sensor));
  const [form, setForm] = useState(before);
  // What is wrong is said once somebody wants to save it, and from then on as it is typed.
  const [isTold, setTold] = useState(false);
  const problems: Problems = isTold ? problemsOf(form, isTimeZone) : {};
  const place = useRef<HTMLFormElement>(null);
  const change = (part: Partial<SettingsForm>) => setForm((all) => ({ ...all, ...part }));
  const saving = useMutation({
    mutationFn: () => ask<Sensor>(`/api/sensors/${sensor.id}/`, { method: "PATCH", body: changeOf(before, form) }),
    onSuccess: async (changed) => {
      client.setQueryData(keys.sensor(sensor.id), changed);
      await client.invalidateQueries({ queryKey: keys.sensors });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTold(true);
    if (Object.keys(problemsOf(form, isTimeZone)).length === 0) saving.mutate();
    // Once they are marked: whoever does not see them is led to the first.
    else requestAnimationFrame(() => place.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
  };
  const field = (name: Exclude<keyof SettingsForm, "features">) => ({
    value: form[name],
    onChange: (value: string) => change({ [name]: value }),
    problem: problems[name],
  });
  const figure = (name: Exclude<keyof SettingsForm, "features">, label: string, description?: ReactNode) => (
    <TextInput label={label} inputMode="decimal" description={description} {...field(name)} />
  );
  const { unit } = form;
  return (
    <Dialog title={`Settings of ${sensor.name}`} onClose={onClose} isWide>
      <form onSubmit={submit} ref={place} noValidate>
        <TextInput label="Name" {...field("name")} />
        <div className="three-fields">
          <Select label="Type" options={TYPES} value={form.type} onChange={(type) => change({ type })} />
          <TextInput label="Unit" {...field("unit")} />
          {figure("interval", "Seconds between readings", "Empty: learnt")}
        </div>
        <Group title="What the sensor can measure">
          <div className="three-fields">
            {figure("rangeMin", inUnit("Lowest possible value", unit), "Empty: not watched")}
            {figure("rangeMax", inUnit("Highest possible value", unit), "Empty: not watched")}
            {figure("rate", inUnit("Fastest change", `${unit} a minute`), "Empty: not watched")}
          </div>
        </Group>
        <Group title="Drift">
          <div className="three-fields">
            {figure(
              "baseline",
              inUnit("Baseline", unit),
              sensor.baseline_given === null && sensor.baseline !== null
                ? `Empty: measured, now ${formatValue(sensor.baseline)}`
                : "Empty: measured",
            )}
            {figure("tolerance", `Tolerance, ± ${unit}`, "Empty: 5 % of drift")}
            {figure("levels", "Told at these levels, %", `Default: ${DEFAULTS.levels}`)}
          </div>
        </Group>
        <Group title="Alarms and models">
          <div className="three-fields">
            {figure("falseAlarms", "False alarms a month", `At most so many. Default: ${DEFAULTS.falseAlarms}`)}
            <Select
              label="New models"
              options={PROMOTIONS}
              value={form.promotion}
              onChange={(promotion) => change({ promotion })}
            />
          </div>
        </Group>
        <Group title="Isolation forest, from the next training on">
          <Checkboxes
            label="It looks at"
            description={`The value always. Default: ${DEFAULTS.features}`}
            options={FEATURES.map((id) => ({ id, label: wordsOf([id]), isFixed: id === "value" }))}
            value={form.features}
            onChange={(chosen) => change({ features: chosen as ForestFeature[] })}
          />
          <div className="three-fields">
            {figure("trees", "Trees", `Default: ${DEFAULTS.trees}`)}
            {figure("subsample", "Readings for a tree", `Default: ${DEFAULTS.subsample}`)}
            {figure("contaminationPercent", "Flagged readings, %", `Default: ${DEFAULTS.contaminationPercent}`)}
          </div>
          <Combo
            label="Time zone"
            opens="Show the time zones"
            description={`What the hour of day and the day of week go by. Default: ${DEFAULTS.zone}`}
            offered={zonesFor(form.zone)}
            typed={form.zone}
            onType={(zone) => change({ zone })}
            onChoose={(zone) => zone !== null && change({ zone: String(zone) })}
            problem={problems.zone}
            isFree
          />
        </Group>
        <FormEnd trying={saving} onClose={onClose}>
          Save
        </FormEnd>
      </form>
    </Dialog>
  );
}

const inUnit = (name: string, unit: string): string => (unit.trim() === "" ? name : `${name}, ${unit}`);

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className="group">
      <legend>{title}</legend>
      {children}
    </fieldset>
  );
}

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
/** `new york` finds America/New_York. */
const plain = (zone: string): string =>
  zone
    .toLowerCase()
    .replaceAll(/[_\s]+/g, " ")
    .trim();
const zonesFor = (typed: string) =>
  ZONES.filter((zone) => plain(zone).includes(plain(typed)))
    .slice(0, ZONES_OFFERED)
    .map((zone) => ({ id: zone, label: zone }));
