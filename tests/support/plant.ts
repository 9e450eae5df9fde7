/**
 * A plant to test in: a nats-server of its own, a database cloned from the migrated template, and the services that the
 * test asks for, as the processes they are.
 */
import { databaseUrlOf } from "@calibration/servers/database-roles.ts";
import { openTestNats, type TestNats } from "@calibration/servers/test-servers.ts";
import type { PlantUser } from "@calibration/servers/nats-config.ts";
import { ensureStreams, openBus, type Bus } from "@calibration/shared/bus.ts";
import { openDatabase, type Database } from "@calibration/shared/database.ts";
import { SETTINGS_DEFAULTS, UNIT_OF_TYPE, type SensorBody, type SensorType } from "@calibration/shared/sensor.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { inject, vi } from "vitest";
import { TEMPLATE } from "./servers.ts";

export type ServiceName = "ingest" | "anomaly" | "drift" | "calibration" | "trainer" | "gateway";

export interface RunningService {
  name: ServiceName;
  process: ChildProcess;
  /** What it logged so far: a failed test's evidence. */
  output(): string;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export interface Plant extends AsyncDisposable {
  nats: TestNats;
  /** As the one who made it; a test may look at everything. */
  databaseUrl: string;
  /** As a service signs in, by {@link databaseUrl} where PostgreSQL is given. */
  databaseUrlOf(name: ServiceName): string;
  database: Database;
  /** As the user `admin`, in the account of the services. */
  bus: Bus;
  /** As the user `plant`: what a plant gateway may do. */
  gateway: Bus;
  start(name: ServiceName, env?: Record<string, string>): Promise<RunningService>;
  /** Makes a sensor without REST, for tests of the stream alone. */
  aSensor(
    sensor?: Partial<SensorBody> & { id?: number; key?: string; site?: string; type?: SensorType },
  ): Promise<{ id: number; site: string; key: string }>;
  /** Publishes as a plant gateway does, and waits for the acknowledgement. */
  publish(sensor: { site: string; key: string }, body: unknown): Promise<void>;
  rows<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>;
  /** The newest message of a subject; null until there is one. What is kept is told a moment later: poll for it. */
  lastSaid(stream: string, subject: string): Promise<Record<string, unknown> | null>;
  /** Everything a stream holds, in order; of one subject, where it is named. */
  allSaid(stream: string, subject?: string): Promise<Said[]>;
}

export interface Said {
  subject: string;
  /** `Nats-Msg-Id`, by which a repeat is known. */
  id: string;
  // What was said is what the tests are about.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any;
}

/** How long a journey waits for what must come: on a loaded machine, and never a measure of speed. */
export const WAIT_MS = 180_000;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY_MS_MAX = 240_000;
const STOP_MS_MAX = 60_000;

export async function openPlant(
  options: { services?: readonly ServiceName[]; partitions?: number; plants?: readonly PlantUser[] } = {},
): Promise<Plant> {
  await using stack = new AsyncDisposableStack();
  const { databaseUrl, drop } = await cloneDatabase();
  stack.defer(drop);
  const nats = stack.use(await openNats(options.plants ?? []));
  const database = stack.use(await openDatabase(databaseUrl, { name: "test" }));
  const bus = stack.use(
    await openBus({ natsUrl: nats.url, natsUser: "admin", natsPassword: nats.users.admin, name: "test" }),
  );
  const gateway = stack.use(
    await openBus({ natsUrl: nats.url, natsUser: "plant", natsPassword: nats.users.plant, name: "test plant" }),
  );
  await ensureStreams(bus, { partitions: options.partitions ?? 4 });
  const services: RunningService[] = [];
  stack.defer(async () => {
    await Promise.all(services.map((service) => service.kill("SIGTERM")));
  });

  const plant: Plant = {
    nats,
    databaseUrl,
    databaseUrlOf: (name) => signedIn(name, databaseUrl),
    database,
    bus,
    gateway,
    async start(name, env = {}) {
      const service = await startService(name, { nats, databaseUrl: signedIn(name, databaseUrl), env });
      services.push(service);
      return service;
    },
    async aSensor(sensor = {}) {
      const { id = 1, site = "main", key = String(id), ...body } = sensor;
      await keepSensor(database, { id, site, key, body });
      return { id, site, key };
    },
    async publish({ site, key }, body) {
      await gateway.jetstream.publish(subjects.reading(site, key), JSON.stringify(body), { timeout: WAIT_MS });
    },
    rows: async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
      (await database.pool.query<R>(text, values)).rows,
    async lastSaid(stream, subject) {
      const message = await bus.manager.streams.getMessage(stream, { last_by_subj: subject });
      return message?.json() ?? null;
    },
    async allSaid(stream, subject) {
      const { state } = await bus.manager.streams.info(stream);
      const sequences = Array.from({ length: state.last_seq - state.first_seq + 1 }, (_, n) => state.first_seq + n);
      const messages = await Promise.all(sequences.map((seq) => bus.manager.streams.getMessage(stream, { seq })));
      return messages
        .filter((message) => message !== null && (subject === undefined || message.subject === subject))
        .map((message) => ({
          subject: message!.subject,
          id: message!.header.get("Nats-Msg-Id"),
          body: message!.json(),
        }));
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  for (const name of options.services ?? []) await plant.start(name);
  const opened = stack.move();
  plant[Symbol.asyncDispose] = () => opened.disposeAsync();
  return plant;
}

function signedIn(name: ServiceName, databaseUrl: string): string {
  const passwords = inject("databasePasswords");
  return passwords === null ? databaseUrl : databaseUrlOf(name, databaseUrl, passwords);
}

async function openNats(plants: readonly PlantUser[]): Promise<TestNats> {
  const embedded = () =>
    openTestNats({ localDirectory: inject("localDirectory"), natsBinary: inject("natsBinary"), plants });
  const container = inject("natsContainer");
  if (container === null) return embedded();
  const { openNatsContainer } = await import("./containers.ts");
  return openNatsContainer({ ...container, plants }).catch((error: unknown) => {
    console.log(`servers: a NATS container did not start (${String(error)}); nats-server takes its place`);
    return embedded();
  });
}

async function cloneDatabase(): Promise<{ databaseUrl: string; drop: () => Promise<void> }> {
  const server = inject("databaseUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  const run = async (text: string) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(text).finally(() => client.end());
  };
  await run(`create database ${name} template ${TEMPLATE}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { databaseUrl: url.href, drop: () => run(`drop database if exists ${name} with (force)`) };
}

async function startService(
  name: ServiceName,
  parts: { nats: TestNats; databaseUrl: string; env: Record<string, string> },
): Promise<RunningService> {
  const child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? `${ROOT}.local/compile-cache`,
      NATS_URL: parts.nats.url,
      NATS_USER: name,
      NATS_PASSWORD: parts.nats.users[name],
      DATABASE_URL: parts.databaseUrl,
      LOG_LEVEL: "debug",
      STOP_WITH_PARENT: "1",
      // What is trained is what a test asks for, also when the hour strikes meanwhile.
      TRAINER_SCHEDULE: "never",
      ...parts.env,
    },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  // Not expect.poll, which only a test may call: a plant may be opened for a whole file.
  await vi.waitUntil(() => output.includes('"message":"ready"') || child.exitCode !== null, {
    timeout: READY_MS_MAX,
    interval: 20,
  });
  if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}:\n${output}`);
  return {
    name,
    process: child,
    output: () => output,
    async kill(signal = "SIGKILL") {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      const slow = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
      await gone;
      clearTimeout(slow);
    },
  };
}

async function keepSensor(
  database: Database,
  sensor: { id: number; site: string; key: string; body: Partial<SensorBody> },
): Promise<void> {
  const type = sensor.body.type ?? "Temperature";
  const body: SensorBody = {
    name: `Sensor ${sensor.id}`,
    unit: UNIT_OF_TYPE[type],
    range_min: null,
    range_max: null,
    expected_interval_s: null,
    baseline: null,
    settings: { ...SETTINGS_DEFAULTS },
    ...sensor.body,
    type,
  };
  await database.pool.query(
    `insert into sensors (id, key, site, name, type, unit, range_min, range_max, expected_interval_s, baseline, settings)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      sensor.id,
      sensor.key,
      sensor.site,
      body.name,
      body.type,
      body.unit,
      body.range_min,
      body.range_max,
      body.expected_interval_s,
      body.baseline,
      body.settings,
    ],
  );
  await database.pool.query(
    "insert into sensor_versions (sensor_id, valid_from, site, key, body) values ($1, now() - interval '1 second', $2, $3, $4)",
    [sensor.id, sensor.site, sensor.key, body],
  );
}
