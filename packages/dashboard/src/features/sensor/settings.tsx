/** What is said of the sensor: shown to everybody, changed by an administrator. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask, type Sensor } from "../../api.ts";
import { formatFigure, formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button, Dialog, Select, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";

const PROMOTIONS: readonly { id: Sensor["settings"]["promotion"]; label: string }[] = [
  { id: "automatic", label: "used at once" },
  { id: "manual", label: "wait for a person" },
];

export function SensorSettings({ sensor }: { sensor: Sensor }) {
  const may = useMay();
  const [isEditing, setEditing] = useState(false);
  const { settings } = sensor;
  const rows: [string, string][] = [
    ["Type", sensor.type],
    ["Possible range", `${formatValue(sensor.range_min)} to ${formatValue(sensor.range_max)} ${sensor.unit}`],
    [
      "A reading every",
      sensor.expected_interval_s === null ? "learnt" : `${formatFigure(sensor.expected_interval_s)} s`,
    ],
    [
      "Fastest change",
      settings.rate_per_minute_max === null
        ? "none given"
        : `${formatValue(settings.rate_per_minute_max)} ${sensor.unit} a minute`,
    ],
    ["Time zone", settings.time_zone],
    ["Tolerance", settings.tolerance === null ? "none given" : `± ${formatValue(settings.tolerance)} ${sensor.unit}`],
    ["False alarms a month", formatFigure(settings.false_alarms_per_month)],
    [
      "Forest",
      `${settings.trees} trees of ${settings.subsample} by ${settings.features.map((feature) => feature.replaceAll("_", " ")).join(", ")}; ${formatFigure(settings.contamination * 100)} % flagged`,
    ],
    ["New models", PROMOTIONS.find(({ id }) => id === settings.promotion)?.label ?? settings.promotion],
  ];
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
        {rows.map(([name, value]) => (
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

const text = (value: number | null): string => (value === null ? "" : String(value));
/** What was typed; empty says that nothing is known. */
const numberOrNull = (typed: string): number | null => (typed.trim() === "" ? null : Number(typed));

/** As it is typed. */
type Form = Record<
  "name" | "unit" | "rangeMin" | "rangeMax" | "interval" | "tolerance" | "rate" | "zone" | "promotion" | "falseAlarms",
  string
>;

function Change({ sensor, onClose }: { sensor: Sensor; onClose: () => void }) {
  const client = useQueryClient();
  const { settings } = sensor;
  const [form, setForm] = useState<Form>({
    name: sensor.name,
    unit: sensor.unit,
    rangeMin: text(sensor.range_min),
    rangeMax: text(sensor.range_max),
    interval: text(sensor.expected_interval_s),
    tolerance: text(settings.tolerance),
    rate: text(settings.rate_per_minute_max),
    zone: settings.time_zone,
    promotion: settings.promotion,
    falseAlarms: String(settings.false_alarms_per_month),
  });
  const field = (name: keyof typeof form) => ({
    value: form[name],
    onChange: (value: string) => setForm((before) => ({ ...before, [name]: value })),
  });
  const saving = useMutation({
    mutationFn: () =>
      ask<Sensor>(`/api/sensors/${sensor.id}/`, {
        method: "PATCH",
        body: {
          name: form.name,
          unit: form.unit,
          range_min: numberOrNull(form.rangeMin),
          range_max: numberOrNull(form.rangeMax),
          expected_interval_s: numberOrNull(form.interval),
          settings: {
            tolerance: numberOrNull(form.tolerance),
            rate_per_minute_max: numberOrNull(form.rate),
            promotion: form.promotion,
            time_zone: form.zone,
            false_alarms_per_month: Number(form.falseAlarms),
          },
        },
      }),
    onSuccess: async (changed) => {
      client.setQueryData(keys.sensor(sensor.id), changed);
      await client.invalidateQueries({ queryKey: keys.sensors });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Dialog title={`Settings of ${sensor.name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <TextInput label="Name" isRequired {...field("name")} />
        <div className="pair-fields">
          <TextInput label="Unit" {...field("unit")} />
          <TextInput
            label="Seconds between readings"
            inputMode="decimal"
            description="Empty: learnt"
            {...field("interval")}
          />
          <TextInput label="Lowest possible value" inputMode="decimal" {...field("rangeMin")} />
          <TextInput label="Highest possible value" inputMode="decimal" {...field("rangeMax")} />
          <TextInput label={`Tolerance, ± ${sensor.unit}`} inputMode="decimal" {...field("tolerance")} />
          <TextInput label={`Fastest change, ${sensor.unit} a minute`} inputMode="decimal" {...field("rate")} />
          <TextInput label="False alarms a month" inputMode="decimal" isRequired {...field("falseAlarms")} />
          <Select label="New models" options={PROMOTIONS} {...field("promotion")} />
        </div>
        <TextInput label="Time zone" isRequired description="IANA name, such as Europe/Berlin" {...field("zone")} />
        <FormEnd trying={saving} onClose={onClose}>
          Save
        </FormEnd>
      </form>
    </Dialog>
  );
}
