/** Who wrote what: every request that changed something, or tried to. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { ask, query, type AuditLine, type Page } from "../../api.ts";
import { Card } from "../../parts/card.tsx";
import { Pager } from "../../parts/pager.tsx";
import { Answered } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";

const PAGE = 10;
const LOOK_MS = 10_000;
const REFUSED = 400;

const COLUMNS: readonly Column<AuditLine>[] = [
  { name: "Who", cell: (line) => line.token_name ?? "a token that is gone" },
  { name: "When", isWhole: true, cell: ({ at }) => <Time at={at} /> },
  {
    name: "What",
    cell: ({ method, path }) => (
      <span className="mono">
        {method} {path}
      </span>
    ),
  },
  {
    name: "Answer",
    cell: ({ status }) => <span className={status >= REFUSED ? "full" : ""}>{status}</span>,
  },
  {
    name: "With",
    className: "audit-detail",
    cell: ({ detail }) => (detail === null ? "–" : <code>{JSON.stringify(detail)}</code>),
  },
];

export function Audit() {
  const lines = useInfiniteQuery({
    queryKey: keys.audit,
    queryFn: ({ pageParam, signal }) =>
      ask<Page<AuditLine>>(`/api/audit-log/${query({ limit: PAGE, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    refetchInterval: LOOK_MS,
  });
  return (
    <Card title="Audit log">
      <Answered what="the audit log" query={lines}>
        {({ pages }) => (
          <Table columns={COLUMNS} rows={pages.flatMap(({ results }) => results)} keyOf={({ id }) => id} />
        )}
      </Answered>
      <Pager list={lines}>Show earlier ones</Pager>
    </Card>
  );
}
