/** A sensor is made: its name and type, and how plants call it. */
import { SENSOR_TYPES } from "@calibration/shared/sensor.ts";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask, type Sensor } from "../../api.ts";
import { Dialog, Select, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { keys } from "../../queries.ts";

export function NewSensor({
  onClose,
  site: givenSite = "",
  sensorKey = "",
  onMade,
}: {
  onClose: () => void;
  site?: string;
  sensorKey?: string;
  onMade?: (sensor: Sensor) => Promise<unknown>;
}) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [type, setType] = useState<string>(SENSOR_TYPES[0]!);
  const [site, setSite] = useState(givenSite);
  const [key, setKey] = useState(sensorKey);
  const isGiven = givenSite !== "";
  const making = useMutation({
    mutationFn: async () => {
      const sensor = await ask<Sensor>("/api/sensors/", { method: "POST", body: bodyOf({ name, type, site, key }) });
      await onMade?.(sensor);
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.sensors });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Dialog title={isGiven ? `Register ${givenSite} / ${sensorKey}` : "Add a sensor"} onClose={onClose}>
      <form onSubmit={submit}>
        <TextInput label="Name" value={name} onChange={setName} isRequired autoFocus />
        <Select
          label="Type"
          options={SENSOR_TYPES.map((one) => ({ id: one, label: one }))}
          value={type}
          onChange={setType}
        />
        <TextInput label="Site" value={site} onChange={setSite} isReadOnly={isGiven} description="Left out: main" />
        <TextInput
          label="Key"
          value={key}
          onChange={setKey}
          isReadOnly={isGiven}
          description="Its name on NATS, readings.SITE.KEY. Left out: the id it gets"
        />
        <FormEnd trying={making} onClose={onClose}>
          {isGiven ? "Register and replay" : "Add the sensor"}
        </FormEnd>
      </form>
    </Dialog>
  );
}

/** A key of digits is the id itself. */
function bodyOf({ name, type, site, key }: { name: string; type: string; site: string; key: string }) {
  return {
    name,
    type,
    ...(site === "" ? {} : { site }),
    ...(key === "" ? {} : { key }),
    ...(/^\d+$/.test(key) ? { id: Number(key) } : {}),
  };
}
