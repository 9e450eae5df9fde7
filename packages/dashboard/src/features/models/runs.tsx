/** The latest training runs: what came of each, and why. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask, query, type Page, type TrainingRun } from "../../api.ts";
import { formatDuration } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Segments } from "../../parts/controls.tsx";
import { Pager } from "../../parts/pager.tsx";
import { SensorLink } from "../../parts/sensor-link.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Age } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";

const PAGE = 10;
const SECOND_MS = 1_000;
const FILTERS = [
  { id: "all", label: "All" },
  { id: "failed", label: "Failed" },
  { id: "insufficient_data", label: "Short of data" },
];
const OUTCOMES: Readonly<Record<TrainingRun["status"], { word: string; look: string }>> = {
  trained: { word: "Trained", look: "is-online" },
  insufficient_data: { word: "Short of data", look: "is-offline" },
  failed: { word: "Failed", look: "is-critical" },
};

function tookOf({ started_at: from, finished_at: to }: TrainingRun): string {
  const ms = Date.parse(to) - Date.parse(from);
  return ms < SECOND_MS ? `${ms} ms` : formatDuration(ms);
}

const COLUMNS: readonly Column<TrainingRun>[] = [
  {
    name: "Outcome",
    cell: ({ status }) => <span className={`status ${OUTCOMES[status].look}`}>{OUTCOMES[status].word}</span>,
  },
  { name: "Sensor", cell: ({ sensor_id: id }) => <SensorLink id={id} /> },
  { name: "Model", cell: ({ model_type: type }) => <span className="capital">{type}</span> },
  { name: "Why", cell: (run) => run.due_because ?? run.trigger },
  {
    name: "What happened",
    cell: (run) => run.error ?? `took ${tookOf(run)}`,
  },
  { name: "When", isWhole: true, cell: (run) => <Age at={run.finished_at} /> },
];

export function Runs({ sensorId }: { sensorId?: number | undefined }) {
  const [status, setStatus] = useState("all");
  const runs = useInfiniteQuery({
    queryKey: [...keys.runs, status, sensorId ?? "all"],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<TrainingRun>>(
        `/api/model-training/runs/${query({ limit: PAGE, cursor: pageParam, sensor_id: sensorId, status: status === "all" ? null : status })}`,
        { signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
  });
  return (
    <Card
      title="Latest training runs"
      actions={<Segments label="Outcome" options={FILTERS} value={status} onChange={setStatus} />}
    >
      <Answered what="the training runs" query={runs}>
        {({ pages }) =>
          pages[0]!.results.length > 0 ? (
            <Table columns={COLUMNS} rows={pages.flatMap(({ results }) => results)} keyOf={({ id }) => id} />
          ) : (
            <Empty title={status === "all" ? "Nothing was trained yet" : "None of these"} />
          )
        }
      </Answered>
      <Pager list={runs}>Show earlier ones</Pager>
    </Card>
  );
}
