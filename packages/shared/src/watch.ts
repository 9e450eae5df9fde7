/**
 * Whether the two servers a service stands on answer: asked again and again, on a connection of its own, so that a service
 * that happens to have nothing to do says so too.
 */
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Bus } from "./bus.ts";

const LOOK_MS = 1_000;
/** Longer than a busy server takes, shorter than a person's patience. */
const ANSWER_MS_MAX = 10_000;

export function openWatch(parts: {
  service: string;
  bus: Pick<Bus, "connection">;
  databaseUrl: string;
  report(part: string, trouble: string | null): void;
}): AsyncDisposable {
  const { bus, report } = parts;
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

  const stop = new AbortController();
  void followConnection();
  const looking = Promise.all([again(askDatabase), again(askNats)]);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
      await pool.end();
    },
  };

  /** The client notices a broken connection at once; what it does not notice is a server that is frozen. */
  async function followConnection(): Promise<void> {
    for await (const status of bus.connection.status()) {
      if (status.type === "disconnect") report("nats", "the connection is broken");
    }
  }

  async function again(ask: () => Promise<void>): Promise<void> {
    while (!stop.signal.aborted) {
      await ask();
      await pause(LOOK_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }

  async function askDatabase(): Promise<void> {
    try {
      await pool.query("select 1");
      report("postgresql", null);
    } catch (error) {
      if (!stop.signal.aborted) report("postgresql", `does not answer: ${(error as Error).message}`);
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
