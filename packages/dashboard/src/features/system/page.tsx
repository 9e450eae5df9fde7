/** The system: whether everything is there and keeps up, and what could not be used. */
import { useQuery } from "@tanstack/react-query";
import { ask, type System } from "../../api.ts";
import { formatBytes, formatCount, formatFigure, formatPercent } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { PageHead } from "../../parts/page-head.tsx";
import { Answered } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { Runs } from "../models/runs.tsx";
import { Audit } from "./audit.tsx";
import { DeadLetters } from "./dead-letters.tsx";
import { errorsOf } from "./errors.ts";
import "./system.css";
import { Sites } from "./sites.tsx";
import { Tokens } from "./tokens.tsx";
import { UnknownSenders } from "./unknown-senders.tsx";

const LOOK_MS = 3_000;
/** Behind by more than this many messages, a service is more than a batch behind. */
const LAG_WARNING = 1_000;
/** A full stream refuses readings; from here on somebody should know. */
const FULL_WARNING = 0.8;

const DOES: Readonly<Record<string, string>> = {
  ingest: "keeps readings",
  anomaly: "judges them",
  drift: "follows drift",
  calibration: "corrects them",
  trainer: "trains models",
  gateway: "answers, and serves this page",
};

export function SystemPage() {
  const may = useMay();
  const system = useQuery({
    queryKey: keys.system,
    queryFn: ({ signal }) => ask<System>("/api/system/", { signal }),
    refetchInterval: LOOK_MS,
  });
  return (
    <>
      <PageHead title="System" />
      <Card title="Services" actions={system.data !== undefined && <TrainingQueue training={system.data.training} />}>
        <Answered what="the services" query={system}>
          {({ services, training }) => (
            <Table columns={serviceColumns(training)} rows={services} keyOf={({ service }) => service} />
          )}
        </Answered>
      </Card>
      <UnknownSenders />
      <DeadLetters counts={system.data?.dead_letters ?? {}} />
      <Runs />
      <Card title="What NATS holds">
        <Answered what="the streams" query={system}>
          {({ streams }) => <Table columns={STREAM_COLUMNS} rows={streams} keyOf={({ name }) => name} />}
        </Answered>
      </Card>
      <Sites />
      {may.administer && (
        <>
          <Tokens />
          <Audit />
        </>
      )}
    </>
  );
}

function TrainingQueue({ training }: { training: System["training"] }) {
  const { waiting, running } = training;
  if (waiting === null) return <span className="quiet">The training queue does not answer</span>;
  return (
    <span className="quiet">
      Training: {formatCount(running)} under way, {formatCount(waiting)} waiting
    </span>
  );
}

type Service = System["services"][number];

function verdictOf({ replicas, lag, failing_partitions: failing }: Service) {
  if (replicas.length === 0) return { look: "is-critical", word: "Nobody there" };
  if (failing > 0) return { look: "is-critical", word: "Failing" };
  if (lag !== null && lag > LAG_WARNING) return { look: "is-warning", word: "Behind" };
  return { look: "is-online", word: lag === null ? "There" : "Keeps up" };
}

const serviceColumns = (training: System["training"]): readonly Column<Service>[] => [
  {
    name: "Service",
    cell: ({ service }) => (
      <>
        {service} <span className="quiet does">{DOES[service]}</span>
      </>
    ),
  },
  {
    name: "State",
    cell: (service) => {
      const { look, word } = verdictOf(service);
      return <span className={`status ${look}`}>{word}</span>;
    },
  },
  { name: "Replicas", isNumber: true, cell: ({ replicas }) => formatCount(replicas.length) },
  { name: "Behind, messages", isNumber: true, cell: ({ lag }) => formatCount(lag) },
  { name: "Messages a second", isNumber: true, cell: (service) => formatFigure(service.per_second) },
  { name: "Errors", cell: (service) => errorsOf(service, training) },
];

const STREAM_COLUMNS: readonly Column<System["streams"][number]>[] = [
  { name: "Stream", className: "mono", cell: ({ name }) => name },
  { name: "Messages", isNumber: true, cell: ({ messages }) => formatCount(messages) },
  { name: "Size", isNumber: true, cell: ({ bytes }) => formatBytes(bytes) },
  {
    name: "Of its limit",
    cell: ({ bytes, bytes_max: most }) => {
      if (most === null) return "no limit";
      const share = bytes / most;
      return (
        <span className={share >= FULL_WARNING ? "full" : ""}>
          {formatPercent(share * 100)} of {formatBytes(most)}
        </span>
      );
    },
  },
];
