/** The alarms that nobody has resolved. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Empty, Failing, Loading } from "../../parts/states.tsx";
import { Time } from "../../parts/time.tsx";
import { openAlarmsQuery } from "../../queries.ts";
import { Severity } from "./severity.tsx";
import { typeWord } from "./words.ts";

export function AnomaliesPage() {
  const alarms = useQuery(openAlarmsQuery);
  return (
    <>
      <h1>Open alarms</h1>
      <div className="card">
        {alarms.isPending ? (
          <Loading what="the alarms" />
        ) : alarms.data === undefined ? (
          <Failing what="the alarms" query={alarms} />
        ) : alarms.data.count === 0 ? (
          <Empty title="No open alarms" />
        ) : (
          <table className="table stacks">
            <tbody>
              {alarms.data.results.map((anomaly) => (
                <tr key={anomaly.id}>
                  <td className="lead">
                    <Link
                      to="/sensors/$sensorId"
                      params={{ sensorId: String(anomaly.sensor_id) }}
                      search={{ anomaly: anomaly.id }}
                    >
                      Sensor {anomaly.sensor_id}: {typeWord(anomaly)}
                    </Link>
                  </td>
                  <td>
                    <Severity severity={anomaly.severity} />
                  </td>
                  <td>
                    <Time at={anomaly.timestamp} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </>
  );
}
