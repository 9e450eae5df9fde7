/** Senders without a sensor: what they published is kept, and replayed once somebody registers them. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask, type DeadLetterGroup, type Page } from "../../api.ts";
import { formatCount, formatValue } from "../../format.ts";
import { Button } from "../../parts/controls.tsx";
import { Answered } from "../../parts/states.tsx";
import { Age } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { NewSensor } from "../plant/new-sensor.tsx";

const LOOK_MS = 5_000;

export function UnknownSenders() {
  const may = useMay();
  const client = useQueryClient();
  const [registering, setRegistering] = useState<{ site: string; key: string } | null>(null);
  const senders = useQuery({
    queryKey: [...keys.deadLetters, "senders"],
    queryFn: ({ signal }) =>
      ask<Page<DeadLetterGroup>>("/api/dead-letters/?group=sensor&reason=unknown_sensor", { signal }),
    refetchInterval: LOOK_MS,
  });
  return (
    <section className="card" aria-labelledby="senders-title">
      <div className="card-head">
        <h2 id="senders-title">Senders without a sensor</h2>
      </div>
      <Answered what="the senders" query={senders}>
        {({ results }) =>
          results.length === 0 ? (
            <p className="card-body quiet">None: every reading that was published belongs to a sensor.</p>
          ) : (
            <table className="table stacks">
              <thead>
                <tr>
                  <th>Site and key</th>
                  <th className="number">Messages kept</th>
                  <th className="number">Last value</th>
                  <th>Last heard</th>
                  <th>
                    <span className="visually-hidden">What to do</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {results.map(({ site, key, count, last_value: value, last_at: at }) => (
                  <tr key={`${site} ${key}`}>
                    <td className="lead mono">{site === null ? "outside the pattern of names" : `${site} / ${key}`}</td>
                    <td data-label="Messages kept" className="number">
                      {formatCount(count)}
                    </td>
                    <td data-label="Last value" className="number">
                      {typeof value === "number" ? formatValue(value) : "–"}
                    </td>
                    <td data-label="Last heard">
                      <Age at={at} />
                    </td>
                    <td className="row-actions">
                      {may.administer && site !== null && key !== null && (
                        <Button onPress={() => setRegistering({ site, key })}>
                          Register…<span className="visually-hidden"> {key}</span>
                        </Button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answered>
      {registering !== null && (
        <NewSensor
          site={registering.site}
          sensorKey={registering.key}
          onClose={() => setRegistering(null)}
          onMade={async () => {
            await ask("/api/dead-letters/replay/", {
              method: "POST",
              body: { reason: "unknown_sensor", ...registering },
            });
            await client.invalidateQueries({ queryKey: keys.deadLetters });
            await client.invalidateQueries({ queryKey: keys.system });
          }}
        />
      )}
    </section>
  );
}
