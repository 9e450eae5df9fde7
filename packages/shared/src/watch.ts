/**
 * Whether the two servers a service stands on answer, the one takes writes and the other has its streams: asked again and
 * again, on a connection of its own, so that a service that happens to have nothing to do says so too.
 */
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Bus } from "./bus.ts";
import { streams } from "./topology.ts";

const LOOK_MS = 1_000;
/** JetStream may be off, or a stream gone, while the connection is as good as ever. */
const LOOK_AT_STREAMS_MS = 5_000;
/** Longer than a busy server takes, shorter than a person's patience. */
const ANSWER_MS_MAX = 10_000;

export interface Watch extends AsyncDisposable {
  /** Whether PostgreSQL did when it was last asked. */
  databaseAnswers(): boolean;
}

export function openWatch(parts: {
  service: string;
  bus: Pick<Bus, "connection" | "manager">;
  databaseUrl: string;
  report(part: string, trouble: string | null): void;
}): Watch {
  const { bus, report } = parts;
  let databaseAnswers = true;
  const pool = new pg.Pool({
    connectionString: parts.databaseUrl,
    max: 1,
    connectionTimeoutMillis: ANSWER_MS_MAX,
    query_timeout: ANSWER_MS_MAX,
    idleTimeoutMillis: 0,
    application_name: `${parts.service} watch`,
  });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));

  let breaks = 0;
  const stop = new AbortController();
  void followConnection();
  const looking = Promise.all([
    again(askDatabase, LOOK_MS),
    again(askNats, LOOK_MS),
    again(askStreams, LOOK_AT_STREAMS_MS),
  ]);
  return {
    databaseAnswers: () => databaseAnswers,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
      await pool.end();
    },
  };

  /** The client notices a broken connection at once; what it does not notice is a server that is frozen. */
  async function followConnection(): Promise<void> {
    for await (const status of bus.connection.status()) {
      if (status.type !== "disconnect") continue;
      breaks++;
      report("nats", "the connection is broken");
    }
  }

  async function again(ask: () => Promise<void>, everyMs: number): Promise<void> {
    while (!stop.signal.aborted) {
      await ask();
      await pause(everyMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }

  async function askDatabase(): Promise<void> {
    try {
      const { rows } = await pool.query<{ transaction_read_only: string }>("show transaction_read_only");
      databaseAnswers = true;
      // A standby, or a server that was told to: it answers every question and keeps nothing.
      report("postgresql", rows[0]!.transaction_read_only === "on" ? "takes no writes" : null);
    } catch (error) {
      databaseAnswers = false;
      if (!stop.signal.aborted) report("postgresql", `does not answer: ${(error as Error).message}`);
    }
  }

  async function askStreams(): Promise<void> {
    const before = breaks;
    try {
      for (const { name } of Object.values(streams)) await bus.manager.streams.info(name);
      report("jetstream", null);
    } catch (error) {
      // A question that the break of a connection swallowed says nothing of how it is now.
      if (!stop.signal.aborted && breaks === before)
        report("jetstream", `does not answer: ${(error as Error).message}`);
    }
  }

  async function askNats(): Promise<void> {
    const late = Promise.withResolvers<number>();
    const timer = setTimeout(() => late.reject(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`)), ANSWER_MS_MAX);
    try {
      await Promise.race([bus.connection.rtt(), late.promise]);
      report("nats", null);
    } catch (error) {
      if (!stop.signal.aborted) report("nats", `does not answer: ${(error as Error).message}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
