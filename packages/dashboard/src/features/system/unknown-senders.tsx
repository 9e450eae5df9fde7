/** Senders without a sensor: what they published is kept, and replayed once somebody registers them. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask, type DeadLetterGroup, type Page } from "../../api.ts";
import { formatCount, formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button } from "../../parts/controls.tsx";
import { Answered } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Age } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { NewSensor } from "../plant/new-sensor.tsx";

const LOOK_MS = 5_000;

const COLUMNS: readonly Column<DeadLetterGroup>[] = [
  {
    name: "Site and key",
    className: "mono",
    cell: ({ site, key }) => (site === null ? "outside the pattern of names" : `${site} / ${key}`),
  },
  { name: "Messages kept", isNumber: true, cell: ({ count }) => formatCount(count) },
  {
    name: "Last value",
    isNumber: true,
    cell: ({ last_value: value }) => (typeof value === "number" ? formatValue(value) : "–"),
  },
  { name: "Last heard", isWhole: true, cell: ({ last_at: at }) => <Age at={at} /> },
];

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
  const actions: Column<DeadLetterGroup> = {
    name: "What to do",
    isActions: true,
    cell: ({ site, key }) =>
      may.administer &&
      site !== null &&
      key !== null && (
        <Button onPress={() => setRegistering({ site, key })}>
          Register…<span className="visually-hidden"> {key}</span>
        </Button>
      ),
  };
  return (
    <Card title="Senders without a sensor">
      <Answered what="the senders" query={senders}>
        {({ results }) =>
          results.length > 0 ? (
            <Table columns={[...COLUMNS, actions]} rows={results} keyOf={({ site, key }) => `${site} ${key}`} />
          ) : (
            <p className="card-body quiet">None: every reading that was published belongs to a sensor.</p>
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
    </Card>
  );
}
