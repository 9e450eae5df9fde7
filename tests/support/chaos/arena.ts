/**
 * A platform to break: a nats-server and a PostgreSQL of its own, services that are started again when they end, as
 * Compose does, and a proxy on each of their lines.
 */
import { databaseUrlOf, prepareDatabase, type DatabasePasswords } from "@calibration/servers/database-roles.ts";
import { findNatsServer } from "@calibration/servers/nats-binary.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { startPostgres, type RunningPostgres } from "@calibration/servers/postgres.ts";
import { openTestNats, type TestNats } from "@calibration/servers/test-servers.ts";
import { openBus, type Bus } from "@calibration/shared/bus.ts";
import { openDatabase } from "@calibration/shared/database.ts";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { expect, inject } from "vitest";
import { WAIT_MS, type ServiceName } from "../plant.ts";
import { openProxy, type Proxy } from "../proxy.ts";
import { randomPasswords } from "../servers.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const AGAIN_MS = 200;
const PORT_FIRST = 12_000;
const PORTS = 18_000;
/** A killed PostgreSQL leaves sessions that end within moments; until then a new one may not begin. */
const RESTARTS_MAX = 40;
const STOP_MS_MAX = 60_000;
const OUTPUT_CHARACTERS_MAX = 2_000_000;

export interface ArenaPostgres extends AsyncDisposable {
  url: string;
  /** By which the services sign in. */
  passwords: DatabasePasswords;
  port: number;
  /** SIGKILL to every process of it, at once. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** One service, under its supervisor. */
export interface Member {
  name: ServiceName;
  nats: Proxy;
  postgres: Proxy;
  metricsPort: number;
  /** Set once its `/readyz` has said no after it had said yes. */
  wasUnready: boolean;
  pid(): number | null;
  kill(signal?: NodeJS.Signals): void;
  isReady(): Promise<boolean>;
  untilReady(): Promise<void>;
  untilUnready(): Promise<void>;
  /** What all its lives have logged: evidence. */
  output(): string;
  /** Asks it to stop and returns its exit code; it is not started again. */
  stop(): Promise<number | null>;
}

export interface Arena extends AsyncDisposable {
  nats: TestNats;
  postgres: ArenaPostgres;
  databaseUrl: string;
  members: Member[];
  /** Every process number there ever was. */
  pids: Set<number>;
  join(name: ServiceName, env?: Record<string, string>): Promise<Member>;
  /** A connection of the test's own, as the user `admin`. */
  openAdmin(): Promise<Bus>;
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>;
  sql: pg.Pool;
}

export const somePort = async (): Promise<number> =>
  (await freePort(PORT_FIRST + (randomBytes(4).readUInt32BE() % PORTS))).port;

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

export async function openArenaPostgres(): Promise<ArenaPostgres> {
  const directory = join(inject("localDirectory"), "tests", randomBytes(4).toString("hex"));
  mkdirSync(directory, { recursive: true });
  const port = await somePort();
  const password = randomBytes(16).toString("hex");
  const start = () => startPostgres({ directory, port, password });
  let running: RunningPostgres = await start();
  /** The postmaster first: whoever it would start then is not started. */
  const processes = (): number[] => {
    const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
    const children = table
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .filter(([, parent]) => parent === running.pid)
      .map(([pid]) => pid!);
    return [running.pid, ...children];
  };
  const signal = (name: NodeJS.Signals) => {
    for (const pid of processes()) {
      try {
        process.kill(pid, name);
      } catch {
        // It ended in the meantime.
      }
    }
  };
  return {
    url: running.url,
    passwords: randomPasswords(),
    port,
    async kill() {
      const killed = processes();
      signal("SIGKILL");
      await expect.poll(() => killed.some(isAlive), { timeout: WAIT_MS }).toBe(false);
    },
    async restart() {
      for (let attempt = 1; ; attempt++) {
        try {
          running = await start();
          return;
        } catch (error) {
          if (attempt === RESTARTS_MAX) throw error;
          await pause(AGAIN_MS);
        }
      }
    },
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    async [Symbol.asyncDispose]() {
      signal("SIGCONT");
      await running[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** `natsFrom` is a server's directory whose streams are copied before the new one starts. */
export async function openArena(options: {
  postgres: ArenaPostgres;
  database: string;
  natsFrom?: string;
}): Promise<Arena> {
  await using stack = new AsyncDisposableStack();
  const { postgres } = options;
  const databaseUrl = await makeDatabase(postgres, options.database);
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  sql.on("error", () => undefined);
  sql.on("connect", (client) => client.on("error", () => undefined));
  stack.defer(() => sql.end());
  const nats = stack.use(
    await openTestNats({
      localDirectory: inject("localDirectory"),
      // Of the checkout, also where tests run on containers: these servers must be killed and frozen by their numbers.
      natsBinary:
        inject("natsBinary") ??
        (await findNatsServer({ localDirectory: inject("localDirectory"), say: () => undefined })),
      ...(options.natsFrom === undefined ? {} : { storeFrom: options.natsFrom }),
    }),
  );
  const members: Member[] = [];
  const pids = new Set<number>();
  stack.defer(async () => {
    await Promise.all(members.map((member) => member.stop()));
  });

  const arena: Arena = {
    nats,
    postgres,
    databaseUrl,
    members,
    pids,
    sql,
    async join(name, env = {}) {
      const member = await startMember(name, { nats, postgres, databaseUrl, env, pids });
      members.push(member);
      await member.untilReady();
      return member;
    },
    openAdmin: () => openBus({ natsUrl: nats.url, natsUser: "admin", natsPassword: nats.users.admin, name: "test" }),
    query: async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
      (await sql.query<R>(text, values)).rows,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const opened = stack.move();
  arena[Symbol.asyncDispose] = () => opened.disposeAsync();
  return arena;
}

async function makeDatabase({ url: serverUrl, passwords }: ArenaPostgres, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  await client.query(`create database ${name}`).finally(() => client.end());
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await prepareDatabase(url.href, passwords);
  // Opened and closed by the platform's own hand, so that a database that cannot be used is known here.
  await (await openDatabase(url.href, { name: "test" }))[Symbol.asyncDispose]();
  return url.href;
}

async function startMember(
  name: ServiceName,
  parts: {
    nats: TestNats;
    postgres: ArenaPostgres;
    databaseUrl: string;
    env: Record<string, string>;
    pids: Set<number>;
  },
): Promise<Member> {
  const natsUrl = new URL(parts.nats.url);
  const nats = await openProxy({ host: natsUrl.hostname, port: Number(natsUrl.port) });
  const postgres = await openProxy({ host: "127.0.0.1", port: parts.postgres.port });
  const metricsPort = await somePort();
  const databaseUrl = new URL(databaseUrlOf(name, parts.databaseUrl, parts.postgres.passwords));
  databaseUrl.port = String(postgres.port);
  let output = "";
  let isStopping = false;
  let child: ChildProcess | null = null;
  let gone: Promise<void> = Promise.resolve();

  const launch = () => {
    const started = spawn(process.execPath, [`services/${name}/src/main.ts`], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"] ?? "",
        NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? `${ROOT}.local/compile-cache`,
        NATS_URL: `nats://127.0.0.1:${nats.port}`,
        NATS_USER: name,
        NATS_PASSWORD: parts.nats.users[name],
        DATABASE_URL: databaseUrl.href,
        METRICS_PORT: String(metricsPort),
        LOG_LEVEL: "info",
        STOP_WITH_PARENT: "1",
        ...parts.env,
      },
    });
    child = started;
    if (started.pid !== undefined) parts.pids.add(started.pid);
    for (const stream of [started.stdout, started.stderr])
      stream.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX)));
    gone = new Promise((resolve) => {
      started.once("exit", (code, signal) => {
        output += `\n— ended: ${signal ?? code} —\n`;
        resolve();
        if (!isStopping) setTimeout(() => isStopping || launch(), AGAIN_MS);
      });
    });
  };
  launch();

  const isReady = async (): Promise<boolean> => {
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(
      () => null,
    );
    await answer?.body?.cancel();
    return answer?.ok === true;
  };
  const member: Member = {
    name,
    nats,
    postgres,
    metricsPort,
    wasUnready: false,
    pid: () => child?.pid ?? null,
    kill: (signal = "SIGKILL") => void child?.kill(signal),
    isReady,
    async untilReady() {
      await expect
        .poll(isReady, { timeout: WAIT_MS, interval: 50, message: `${name} is ready: ${output.slice(-3000)}` })
        .toBe(true);
    },
    async untilUnready() {
      await expect
        .poll(isReady, { timeout: WAIT_MS, interval: 50, message: `${name} says it cannot work` })
        .toBe(false);
      member.wasUnready = true;
    },
    output: () => output,
    async stop() {
      isStopping = true;
      nats.mend();
      postgres.mend();
      const last = child;
      if (last !== null && last.exitCode === null && last.signalCode === null) {
        last.kill("SIGCONT");
        last.kill("SIGTERM");
        const slow = setTimeout(() => last.kill("SIGKILL"), STOP_MS_MAX);
        await gone;
        clearTimeout(slow);
      }
      await nats[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
      return last?.exitCode ?? null;
    },
  };
  return member;
}
