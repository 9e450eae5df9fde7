/** What could not be used, with its reason; and a second try where the reason is gone. */
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask, query, type DeadLetter, type Page, type System } from "../../api.ts";
import { formatCount } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button } from "../../parts/controls.tsx";
import { Pager } from "../../parts/pager.tsx";
import { Problem } from "../../parts/problem.tsx";
import { Answered } from "../../parts/states.tsx";
import { Age } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";

const PAGE = 10;
const LOOK_MS = 10_000;

export function DeadLetters({ counts }: { counts: System["dead_letters"] }) {
  const may = useMay();
  const client = useQueryClient();
  const [reason, setReason] = useState<string | null>(null);
  const letters = useInfiniteQuery({
    queryKey: [...keys.deadLetters, "list", reason],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<DeadLetter>>(`/api/dead-letters/${query({ limit: PAGE, reason, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    refetchInterval: LOOK_MS,
  });
  const replaying = useMutation({
    mutationFn: (which: { ids: number[] } | { reason: string }) =>
      ask<{ replayed: number }>("/api/dead-letters/replay/", { method: "POST", body: which }),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keys.deadLetters });
      void client.invalidateQueries({ queryKey: keys.system });
    },
  });
  const reasons = Object.entries(counts);
  return (
    <Card
      title="Dead letters"
      actions={
        <div className="reasons" role="group" aria-label="Filter by reason">
          {reasons.map(([name, count]) => (
            <button
              key={name}
              type="button"
              className="status-filter is-offline"
              aria-pressed={reason === name}
              onClick={() => setReason(reason === name ? null : name)}
            >
              <strong>{formatCount(count)}</strong> {name.replaceAll("_", " ")}
            </button>
          ))}
          {may.operate && reason !== null && (
            <Button isBusy={replaying.isPending} onPress={() => replaying.mutate({ reason })}>
              Replay these
            </Button>
          )}
        </div>
      }
    >
      <div role="status" className="replay-words">
        {replaying.isSuccess && (
          <p className="card-body">
            {replaying.data.replayed === 0
              ? "Nothing was replayed: it had been, or its subject cannot be published to."
              : `${formatCount(replaying.data.replayed)} replayed. What still cannot be used comes back.`}
          </p>
        )}
      </div>
      <Problem of={replaying} />
      <Answered what="the dead letters" query={letters}>
        {({ pages }) => {
          const all = pages.flatMap(({ results }) => results);
          if (all.length === 0)
            return <p className="card-body quiet">None: everything that was published could be used.</p>;
          return (
            <ul className="letters">
              {all.map((letter) => (
                <li key={letter.id}>
                  <div className="letter-head">
                    <strong>{letter.reason.replaceAll("_", " ")}</strong>
                    <span className="mono">{letter.subject}</span>
                    <span className="quiet">
                      <Age at={letter.received_at} />
                    </span>
                    {letter.replayed_at !== null ? (
                      <span className="quiet">
                        replayed <Age at={letter.replayed_at} />
                      </span>
                    ) : (
                      may.operate && (
                        <Button isBusy={replaying.isPending} onPress={() => replaying.mutate({ ids: [letter.id] })}>
                          Replay<span className="visually-hidden"> letter {letter.id}</span>
                        </Button>
                      )
                    )}
                  </div>
                  <p className="quiet">{letter.detail}</p>
                  {letter.payload !== null && (
                    <pre tabIndex={0} aria-label={`Payload of letter ${letter.id}`}>
                      {letter.payload === "" ? "(empty)" : letter.payload}
                      {letter.payload_truncated ? "…" : ""}
                    </pre>
                  )}
                </li>
              ))}
            </ul>
          );
        }}
      </Answered>
      <Pager list={letters}>Show earlier ones</Pager>
    </Card>
  );
}
