/** One of the sensors, found by its name, id, key or site. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { sensorsQuery, type ListedSensor } from "../queries.ts";
import { Combo } from "./combo.tsx";
import { Answered, Loading } from "./states.tsx";

const OFFERED = 30;

interface ChoiceProps {
  label: string;
  /** What is chosen at the beginning. */
  chosen: number | null;
  onChoose: (id: number | null) => void;
  autoFocus?: boolean;
}

export function SensorChoice(props: ChoiceProps) {
  const sensors = useQuery(sensorsQuery);
  const { chosen } = props;
  return (
    <Answered what="the sensors" query={sensors}>
      {({ all, isWhole }) =>
        isWhole || chosen === null || all.some(({ id }) => id === chosen) ? (
          <Choice sensors={all} {...props} />
        ) : (
          <Loading what="the sensors" />
        )
      }
    </Answered>
  );
}

const nameOf = ({ id, name, site }: ListedSensor): string => `${name} (${id}, ${site})`;

function Choice({
  sensors,
  label,
  chosen,
  onChoose,
  autoFocus = false,
}: ChoiceProps & { sensors: readonly ListedSensor[] }) {
  const [typed, setTyped] = useState(() => {
    const first = sensors.find(({ id }) => id === chosen);
    return first === undefined ? "" : nameOf(first);
  });
  const offered = useMemo(() => {
    const words = typed.toLowerCase().split(/\s+/);
    return sensors
      .filter((sensor) => words.every((word) => `${nameOf(sensor)} ${sensor.key}`.toLowerCase().includes(word)))
      .slice(0, OFFERED)
      .map((sensor) => ({ id: sensor.id, label: nameOf(sensor) }));
  }, [sensors, typed]);
  return (
    <Combo
      label={label}
      opens="Show the sensors"
      placeholder="Name or id"
      autoFocus={autoFocus}
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
