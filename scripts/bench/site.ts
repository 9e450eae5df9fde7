/** Where a benchmark runs: the servers as `npm start` runs them, and a site of its own on them, emptied before each measurement. */
import { databaseUrlOf, prepareDatabase, type DatabasePasswords } from "@calibration/servers/database-roles.ts";
import { SERVICE_USERS } from "@calibration/servers/nats-config.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { findNatsServer } from "@calibration/servers/nats-binary.ts";
import { startPostgres } from "@calibration/servers/postgres.ts";
import { openTestNats, type TestNats } from "@calibration/servers/test-servers.ts";
import { ensureStreams, openBus, readingsStream, type Bus } from "@calibration/shared/bus.ts";
import { openDatabase, type Database } from "@calibration/shared/database.ts";
import { SETTINGS_DEFAULTS, type SensorBody } from "@calibration/shared/sensor.ts";
import { partitionSubjects, streams } from "@calibration/shared/topology.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const LOCAL = join(ROOT, ".local");
export const PARTITIONS = 16;
const READY_MS_MAX = 60_000;
const DONE_MS_MAX = 600_000;
const LOOK_MS = 10;
const PORT_FIRST = 12_000;
const PORTS = 18_000;

export type ServiceName = "ingest" | "anomaly" | "drift" | "calibration" | "trainer" | "gateway";
export const STREAM_SERVICES = ["ingest", "anomaly", "drift", "calibration"] as const;

export interface Servers extends AsyncDisposable {
  /** A site with sensors 1 … n and nothing else; it goes when the next one is opened. */
  openSite(sensors: number): Promise<Site>;
}

export interface Process extends AsyncDisposable {
  pid: number;
  readyAt: number;
  /** Resident memory now, bytes. */
  memory(): number;
}

export interface Site extends AsyncDisposable {
  nats: TestNats;
  database: Database;
  databaseUrl: string;
  bus: Bus;
  sensors: number;
  /** A free port, for a service that is asked something. */
  metricsPort: number;
  start(name: ServiceName, options?: { imports?: string; env?: Record<string, string> }): Promise<Process>;
  startReference(): Promise<Process>;
  /** Waits until each of these has kept everything the stream holds, and returns that moment. */
  kept(services: readonly string[]): Promise<number>;
  /** Processor seconds so far of NATS, PostgreSQL and these; null where the system does not tell. */
  cpuSeconds(processes: readonly Process[]): number | null;
}

export const somePort = async () => (await freePort(PORT_FIRST + (randomBytes(4).readUInt32BE() % PORTS))).port;

export async function openServers(say: (text: string) => void): Promise<Servers> {
  await using stack = new AsyncDisposableStack();
  const directory = join(LOCAL, "bench", randomBytes(4).toString("hex"));
  mkdirSync(directory, { recursive: true });
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const natsBinary = await findNatsServer({ localDirectory: LOCAL, say });
  const postgres = stack.use(
    await startPostgres({
      directory: join(directory, "postgres"),
      port: await somePort(),
      password: randomBytes(16).toString("hex"),
    }),
  );
  const nats = stack.use(await openTestNats({ localDirectory: LOCAL, natsBinary }));
  const bus = stack.use(
    await openBus({ natsUrl: nats.url, natsUser: "admin", natsPassword: nats.users.admin, name: "bench" }),
  );
  let sites = 0;
  const server = new URL(postgres.url);
  const passwords = Object.fromEntries(
    SERVICE_USERS.map((user) => [user, randomBytes(16).toString("hex")]),
  ) as DatabasePasswords;
  const opened = stack.move();
  return {
    async openSite(sensors) {
      const site = new AsyncDisposableStack();
      const url = new URL(server);
      url.pathname = `/bench_${++sites}`;
      const name = url.pathname.slice(1);
      await run(server.href, `create database ${name}`);
      site.defer(() => run(server.href, `drop database if exists ${name} with (force)`));
      await prepareDatabase(url.href, passwords);
      for (const { name: stream } of Object.values(streams))
        await bus.manager.streams.delete(stream).catch(() => false);
      await ensureStreams(bus, { partitions: PARTITIONS });
      const database = site.use(await openDatabase(url.href, { name: "bench" }));
      await makeSensors(database.pool, sensors);
      const begin = async (what: string, env: Record<string, string>, imports?: string) =>
        site.use(await startProcess(what, { NATS_URL: nats.url, DATABASE_URL: url.href, ...env }, imports));
      const metricsPort = await somePort();
      return {
        metricsPort,
        nats,
        database,
        databaseUrl: url.href,
        bus,
        sensors,
        start: (service, options = {}) =>
          begin(
            `services/${service}/src/main.ts`,
            {
              NATS_USER: service,
              NATS_PASSWORD: nats.users[service],
              DATABASE_URL: databaseUrlOf(service, url.href, passwords),
              LOG_LEVEL: "info",
              ...options.env,
            },
            options.imports,
          ),
        startReference: () =>
          begin("scripts/bench/drain.ts", {
            NATS_USER: "admin",
            NATS_PASSWORD: nats.users.admin,
            PARTITIONS: String(PARTITIONS),
          }),
        cpuSeconds: (processes) => {
          const all = [postgres.pid, nats.running!.pid, ...processes.map(({ pid }) => pid)].map(cpuSecondsOf);
          return all.includes(null) ? null : all.reduce<number>((sum, one) => sum + one!, 0);
        },
        kept: (services) => untilKept(bus, database.pool, services),
        [Symbol.asyncDispose]: () => site.disposeAsync(),
      };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const TICKS_A_SECOND = 100;

/** Its own, that of its children that have ended, and that of those that live. Linux tells it in `/proc`. */
function cpuSecondsOf(pid: number): number | null {
  const statOf = (name: string): string[] | null => {
    try {
      const text = readFileSync(`/proc/${name}/stat`, "utf8");
      // The command stands in brackets and may hold anything.
      return text.slice(text.lastIndexOf(")") + 2).split(" ");
    } catch {
      return null;
    }
  };
  const own = statOf(String(pid));
  if (own === null) return null;
  const [PARENT, OWN, ENDED] = [1, 11, 13];
  const ticks = (stat: readonly string[], from: number) => Number(stat[from]) + Number(stat[from + 1]);
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.[PARENT] === String(pid))
    .reduce((sum, stat) => sum + ticks(stat!, OWN), 0);
  return (ticks(own, OWN) + ticks(own, ENDED) + children) / TICKS_A_SECOND;
}

async function run(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

export const sensorOfBench: SensorBody = {
  name: "A sensor",
  type: "Temperature",
  unit: "°C",
  range_min: -100,
  range_max: 200,
  expected_interval_s: 60,
  baseline: null,
  settings: { ...SETTINGS_DEFAULTS },
};

async function makeSensors(pool: pg.Pool, count: number): Promise<void> {
  await pool.query(
    `insert into sensors (id, key, site, name, type, unit, range_min, range_max, expected_interval_s, settings)
     select i, i::text, 'main', $2, 'Temperature', '°C', -100, 200, 60, $3 from generate_series(1, $1::int) i`,
    [count, sensorOfBench.name, sensorOfBench.settings],
  );
  await pool.query(
    `insert into sensor_versions (sensor_id, valid_from, site, key, body)
     select i, now() - interval '1 hour', 'main', i::text, $2 from generate_series(1, $1::int) i`,
    [count, sensorOfBench],
  );
}

async function startProcess(file: string, env: Record<string, string>, imports?: string): Promise<Process> {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      ...(process.env["BENCH_NODE_ARGS"]?.split(" ") ?? []),
      ...(imports === undefined ? [] : ["--import", imports]),
      file,
    ],
    {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"] ?? "",
        NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? join(LOCAL, "compile-cache"),
        STOP_WITH_PARENT: "1",
        ...env,
      },
    },
  );
  let output = "";
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const readyAt = await new Promise<number>((resolve, reject) => {
    const slow = setTimeout(() => reject(new Error(`${file} is not ready:\n${output}`)), READY_MS_MAX);
    const hear = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
      if (/^ready$|"message":"ready"/m.test(output)) {
        clearTimeout(slow);
        resolve(performance.now());
      }
      if (process.env["BENCH_LOG"] !== undefined) process.stderr.write(chunk);
    };
    child.stdout!.on("data", hear);
    child.stderr!.on("data", hear);
    void gone.then(() => reject(new Error(`${file} ended with ${child.exitCode}:\n${output}`)));
  });
  return {
    pid: child.pid!,
    readyAt,
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0) * 1024,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const slow = setTimeout(() => child.kill("SIGKILL"), 5000);
      await gone;
      clearTimeout(slow);
    },
  };
}

/** The last reading of each partition is what must have been kept. */
async function untilKept(bus: Bus, pool: pg.Pool, services: readonly string[]): Promise<number> {
  const stream = await readingsStream(bus);
  const wanted = new Map<number, number>();
  for (let partition = 0; partition < stream.partitions; partition++) {
    const [readings] = partitionSubjects(partition);
    const last = await bus.manager.streams
      .getMessage(streams.readings.name, { last_by_subj: readings! })
      .catch(() => null);
    if (last !== null) wanted.set(partition, last.seq);
  }
  const deadline = performance.now() + DONE_MS_MAX;
  while (performance.now() < deadline) {
    const { rows } = await pool.query<{ service: string; partition: number; kept: number }>(
      "select service, partition, kept from stream_positions where service = any($1::text[])",
      [services],
    );
    const behind = services.some((service) => {
      const kept = new Map(rows.filter((row) => row.service === service).map((row) => [row.partition, row.kept]));
      return [...wanted].some(([partition, sequence]) => (kept.get(partition) ?? 0) < sequence);
    });
    if (!behind) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`not everything was kept within ${DONE_MS_MAX / 1000} s`);
}
