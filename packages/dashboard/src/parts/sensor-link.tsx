/** A sensor by its name, wherever a list speaks of one; with an anomaly, where that is explained. */
import { Link } from "@tanstack/react-router";
import type { Anomaly } from "../api.ts";
import { rangeAround } from "../features/sensor/range.ts";
import { useSensorsById } from "../queries.ts";

/** What began within so long ago is in sight on the sensor's page as it opens. */
const IN_SIGHT_MS = 23 * 3_600_000;

export function SensorLink({ id, anomaly }: { id: number; anomaly?: Anomaly }) {
  const name = useSensorsById().get(id)?.name ?? `Sensor ${id}`;
  const isOld = anomaly !== undefined && Date.now() - Date.parse(anomaly.timestamp) > IN_SIGHT_MS;
  return (
    <Link
      to="/sensors/$sensorId"
      params={{ sensorId: String(id) }}
      {...(anomaly === undefined
        ? {}
        : { search: { anomaly: anomaly.id, ...(isOld ? rangeAround(anomaly.timestamp) : {}) } })}
    >
      {name}
    </Link>
  );
}
