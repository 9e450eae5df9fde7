/** A sensor by its name, wherever a list speaks of one; with an anomaly, where that is explained. */
import { Link } from "@tanstack/react-router";
import type { Anomaly } from "../api.ts";
import { rangeAround, type RangeSearch } from "../features/sensor/range.ts";
import { useSensorsById } from "../queries.ts";

/** What began within so long ago is in sight on the sensor's page as it opens. */
const IN_SIGHT_MS = 23 * 3_600_000;

/** What the sensor's page is asked for, so that it explains the anomaly; without one, what it shows by itself. */
export function searchOf(anomaly: Anomaly | undefined): RangeSearch {
  if (anomaly === undefined) return {};
  const isOld = Date.now() - Date.parse(anomaly.timestamp) > IN_SIGHT_MS;
  return { anomaly: anomaly.id, ...(isOld ? rangeAround(anomaly.timestamp) : {}) };
}

export function SensorLink({ id, anomaly }: { id: number; anomaly?: Anomaly }) {
  const name = useSensorsById().get(id)?.name ?? `Sensor ${id}`;
  return (
    <Link to="/sensors/$sensorId" params={{ sensorId: String(id) }} search={searchOf(anomaly)}>
      {name}
    </Link>
  );
}
