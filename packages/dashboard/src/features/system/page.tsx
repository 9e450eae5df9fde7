/** The system: whether everything is there and keeps up, and what could not be used. */
import { useQuery } from "@tanstack/react-query";
import { ask, type System } from "../../api.ts";
import { formatBytes, formatCount, formatFigure } from "../../format.ts";
import { Answered } from "../../parts/states.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { DeadLetters } from "./dead-letters.tsx";
import "./system.css";
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
      <div className="page-head">
        <h1>System</h1>
      </div>
      <section className="card" aria-labelledby="services-title">
        <div className="card-head">
          <h2 id="services-title">Services</h2>
          {system.data !== undefined && <TrainingQueue training={system.data.training} />}
        </div>
        <Answered what="the services" query={system}>
          {({ services }) => <Services services={services} />}
        </Answered>
      </section>
      <UnknownSenders />
      <DeadLetters counts={system.data?.dead_letters ?? {}} />
      <section className="card" aria-labelledby="streams-title">
        <div className="card-head">
          <h2 id="streams-title">What NATS holds</h2>
        </div>
        <Answered what="the streams" query={system}>
          {({ streams }) => <Streams streams={streams} />}
        </Answered>
      </section>
      {may.administer && <Tokens />}
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

function verdictOf({ replicas, lag, failing_partitions: failing }: System["services"][number]) {
  if (replicas.length === 0) return { look: "is-critical", word: "Nobody there" };
  if (failing > 0) return { look: "is-critical", word: "Failing" };
  if (lag !== null && lag > LAG_WARNING) return { look: "is-warning", word: "Behind" };
  return { look: "is-online", word: lag === null ? "There" : "Keeps up" };
}

function Services({ services }: { services: System["services"] }) {
  return (
    <table className="table stacks">
      <thead>
        <tr>
          <th>Service</th>
          <th>State</th>
          <th className="number">Replicas</th>
          <th className="number">Behind, messages</th>
          <th className="number">Messages a second</th>
          <th className="number">Failing partitions</th>
        </tr>
      </thead>
      <tbody>
        {services.map((service) => {
          const { look, word } = verdictOf(service);
          return (
            <tr key={service.service}>
              <td className="lead">
                {service.service} <span className="quiet does">{DOES[service.service]}</span>
              </td>
              <td data-label="State">
                <span className={`status ${look}`}>{word}</span>
              </td>
              <td data-label="Replicas" className="number">
                {formatCount(service.replicas.length)}
              </td>
              <td data-label="Behind, messages" className="number">
                {formatCount(service.lag)}
              </td>
              <td data-label="Messages a second" className="number">
                {formatFigure(service.per_second)}
              </td>
              <td data-label="Failing partitions" className="number">
                {service.lag === null ? "–" : formatCount(service.failing_partitions)}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Streams({ streams }: { streams: System["streams"] }) {
  return (
    <table className="table stacks">
      <thead>
        <tr>
          <th>Stream</th>
          <th className="number">Messages</th>
          <th className="number">Size</th>
          <th>Of its limit</th>
        </tr>
      </thead>
      <tbody>
        {streams.map(({ name, messages, bytes, bytes_max: most }) => {
          const share = most === null ? null : bytes / most;
          const isFull = share !== null && share >= FULL_WARNING;
          return (
            <tr key={name}>
              <td className="lead mono">{name}</td>
              <td data-label="Messages" className="number">
                {formatCount(messages)}
              </td>
              <td data-label="Size" className="number">
                {formatBytes(bytes)}
              </td>
              <td data-label="Of its limit">
                {share === null || most === null ? (
                  "no limit"
                ) : (
                  <span className={isFull ? "full" : ""}>
                    {formatFigure(share * 100)} % of {formatBytes(most)}
                  </span>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
