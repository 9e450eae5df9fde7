/** What drifts, and what is due: where a metrologist begins. */
import { useQuery } from "@tanstack/react-query";
import { formatDrift, formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button } from "../../parts/controls.tsx";
import { SensorLink } from "../../parts/sensor-link.tsx";
import { Answered, Empty, Loading } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Age } from "../../parts/time.tsx";
import { sensorsQuery } from "../../queries.ts";
import { DRIFT_WARNING, whatIsDue, type Due as DueSensor } from "./verdict.ts";

const SHOWN_AT_LEAST = 5;
const VERDICTS: Readonly<Record<DueSensor["verdict"], { word: string; look: string }>> = {
  due: { word: "Due", look: "is-warning" },
  near: { word: "Soon", look: "is-offline" },
  fine: { word: "Within limits", look: "is-online" },
};

const COLUMNS: readonly Column<DueSensor>[] = [
  { name: "Sensor", cell: ({ sensor }) => <SensorLink id={sensor.id} /> },
  {
    name: "Calibration",
    cell: ({ verdict }) => <span className={`status ${VERDICTS[verdict].look}`}>{VERDICTS[verdict].word}</span>,
  },
  { name: "Drift", isNumber: true, cell: ({ sensor }) => formatDrift(sensor.drift) },
  {
    name: "Off by",
    isNumber: true,
    cell: ({ sensor, off }) => (off === null ? "–" : `${off > 0 ? "+" : ""}${formatValue(off)} ${sensor.unit}`),
  },
  {
    name: "Allowed",
    isNumber: true,
    cell: ({ sensor: { settings, unit } }) =>
      settings.tolerance === null ? `± ${DRIFT_WARNING} %` : `± ${formatValue(settings.tolerance)} ${unit}`,
  },
  { name: "Last calibrated", isWhole: true, cell: ({ sensor }) => <Age at={sensor.last_calibrated_at} /> },
];

export function Due({ record }: { record?: (sensorId: number) => void }) {
  const sensors = useQuery(sensorsQuery);
  const actions: Column<DueSensor> = {
    name: "What to do",
    isActions: true,
    cell: ({ sensor }) => (
      <Button kind="plain" onPress={() => record?.(sensor.id)}>
        Calibrate…<span className="visually-hidden"> {sensor.name}</span>
      </Button>
    ),
  };
  return (
    <Card title="What drifts, and what is due">
      <Answered what="the sensors" query={sensors}>
        {({ all, isWhole }) => {
          const due = whatIsDue(all, SHOWN_AT_LEAST);
          if (due.length === 0 && !isWhole) return <Loading what="the sensors" />;
          return due.length > 0 ? (
            <Table
              columns={record === undefined ? COLUMNS : [...COLUMNS, actions]}
              rows={due}
              keyOf={({ sensor }) => sensor.id}
            />
          ) : (
            <Empty title="Nothing is known to drift">
              <p>Drift is told once a sensor has a day of readings to be compared with.</p>
            </Empty>
          );
        }}
      </Answered>
    </Card>
  );
}
