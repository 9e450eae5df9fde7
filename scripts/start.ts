/** `npm start`: the whole platform in the checkout, from servers to demo plant, until it is told to stop. */
import { buildDashboard } from "@calibration/dashboard/build.ts";
import { ensureStreams, openBus, type Bus } from "@calibration/shared/bus.ts";
import { openDatabase } from "@calibration/shared/database.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { PARTITIONS_DEFAULT } from "@calibration/shared/topology.ts";
import { databaseUrlOf, prepareDatabase, type DatabasePasswords } from "@calibration/servers/database-roles.ts";
import { findNatsServer } from "@calibration/servers/nats-binary.ts";
import { SERVICE_USERS, type NatsUsers } from "@calibration/servers/nats-config.ts";
import { startNatsServer } from "@calibration/servers/nats-server.ts";
import { readPlantUsers } from "@calibration/servers/plant-users.ts";
import { freePort, startOnFreePorts } from "@calibration/servers/ports.ts";
import { startPostgres } from "@calibration/servers/postgres.ts";
import { databasePasswordsOf, keptSecrets, natsUsersOf, PLATFORM_SECRETS } from "@calibration/servers/secrets.ts";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type pg from "pg";
import { HISTORY_READINGS, makeCalibrations, makeSensors, publishHistory } from "./demo/history.ts";
import { DEMO_SENSORS, HISTORY_DAYS, MINUTE_MS } from "./demo/plant.ts";
import {
  changeEndpoints,
  LOCAL,
  readEndpoints,
  removeEndpoints,
  ROOT,
  writeEndpoints,
  settingsOf,
  type Endpoints,
} from "./local/endpoints.ts";
import { createRest, type Rest } from "./local/rest.ts";
import { startProcess, type StartedProcess } from "./local/services.ts";

const USAGE = `npm start -- [--no-demo] [--fresh] [--port N] [--demo-now TIME]
  --no-demo        no demo sensors, no history, no simulated plant
  --fresh          wipes what earlier starts kept in .local/ first
  --port N         the gateway's port (default 8080, the next free one where it is taken)
  --demo-now TIME  ends the demo's history there (ISO 8601, not in the future) and publishes nothing live`;

const PORTS = { gateway: 8080, nats: 4222, monitor: 8222, postgres: 5433, metrics: 9101 } as const;
const DAY_MS = 86_400_000;
/** The models that the original system had: one of each kind for every sensor, calibration for the one that has calibrations. */
const MODELS = DEMO_SENSORS.length * 2 + 1;
const STATE_FILE = `${LOCAL}/demo/state.json`;
/** A step that has come no further for so long hangs; how long it takes in all depends on the machine. */
const STILL_MS_MAX = 10 * 60_000;

/** The command began before us, with what a bare machine lacks. */
const begunMs = Number(process.env["COMMAND_BEGUN_MS"] ?? Date.now());
const elapsed = (): string => `[${((Date.now() - begunMs) / 1000).toFixed(1).padStart(6)} s]`;
const say = (text: string): void => console.log(`${elapsed()} ${text}`);
/** One line that counts up on a terminal; elsewhere only its end is a line. */
const progress = (text: string, done: boolean): void => {
  if (process.stdout.isTTY) process.stdout.write(`\r${elapsed()} ${text}${done ? "\n" : ""}`);
  else if (done) say(text);
};

const options = readOptions();
// A second Ctrl-C does not wait: everything we started ends when our ends of the pipes close. A terminal sends its signal to us
// and to the npm that passes it on, so that two within a second are one.
const SAME_INTERRUPT_MS = 1_000;
let interruptedMs: number | null = null;
process.on("SIGINT", () => {
  interruptedMs ??= performance.now();
  if (performance.now() - interruptedMs > SAME_INTERRUPT_MS) process.exit(130);
});
const orphaned = Promise.withResolvers<string>();
const parent = process.ppid;
setInterval(() => process.ppid === parent || orphaned.resolve("parent gone"), SAME_INTERRUPT_MS).unref();
const stopped = Promise.race([untilStopped(), orphaned.promise]);
let isStopping = false;
void stopped.then(() => (isStopping = true));

async function run(): Promise<void> {
  const plants = readPlantUsers(process.env["PLANT_USERS"]);
  const other = readEndpoints();
  if (other !== null && (await isAlive(other.gateway)))
    throw new Error(`The platform is running here already, at ${other.gateway}; stop that one first.`);
  removeEndpoints();
  if (options.fresh)
    for (const kept of ["nats", "postgres", "demo", "log", "secrets.json"])
      rmSync(`${LOCAL}/${kept}`, { recursive: true, force: true });
  mkdirSync(LOCAL, { recursive: true, mode: 0o700 });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => say("stopped"));

  const secrets = keptSecrets(`${LOCAL}/secrets.json`, PLATFORM_SECRETS);
  const users = natsUsersOf(secrets);
  const databasePasswords = databasePasswordsOf(secrets);
  if (await buildDashboard()) say("the dashboard is built");
  // The binary is found where every start and every test in this checkout finds it.
  const binary = await findNatsServer({ localDirectory: `${ROOT}.local`, say });
  const postgres = stack.use(
    await startOnFreePorts(async () =>
      startPostgres({
        directory: `${LOCAL}/postgres`,
        port: await choosePort("PostgreSQL", PORTS.postgres),
        password: secrets.postgres,
      }),
    ),
  );
  say("PostgreSQL is up");
  const nats = stack.use(
    await startOnFreePorts(async () =>
      startNatsServer({
        binary,
        directory: `${LOCAL}/nats`,
        port: await choosePort("NATS", PORTS.nats),
        monitorPort: await choosePort("NATS's monitor", PORTS.monitor),
        users,
        plants,
      }),
    ),
  );
  say("NATS with JetStream is up");
  await prepareDatabase(postgres.url, databasePasswords);
  say("the tables are there");

  const database = stack.use(await openDatabase(postgres.url, { name: "start", poolSize: 2 }));
  const bus = stack.use(
    await openBus({ natsUrl: nats.url, natsUser: "admin", natsPassword: users.admin, name: "start" }),
  );
  await ensureStreams(bus, { partitions: PARTITIONS_DEFAULT });
  const tokens = { admin: secrets.admin, operator: secrets.operator, viewer: secrets.viewer, plant: secrets.plant };
  const ports = await choosePorts();
  const services = await startServices(stack, {
    natsUrl: nats.url,
    users,
    databaseUrl: postgres.url,
    databasePasswords,
    tokens,
    ports,
  });
  const gateway = `http://127.0.0.1:${ports.gateway}`;
  say(`the six services are up: ${Object.keys(services).join(", ")}`);

  const rest = createRest(gateway, tokens.admin);
  const endpoints: Endpoints = {
    gateway,
    nats: nats.url,
    monitor: nats.monitorUrl,
    postgres: postgres.url,
    tokens,
    nats_users: Object.fromEntries(
      (["plant", "reader", "admin"] as const).map((user) => [user, { user, password: users[user] }]),
    ),
    metrics: Object.fromEntries(
      SERVICE_USERS.map((name, n) => [name, [`http://127.0.0.1:${ports.metrics[n]}/metrics`]]),
    ),
    pids: Object.fromEntries(Object.entries(services).map(([name, service]) => [name, [service.pid()]])),
    settings: settingsOf(process.env),
  };
  // A service that was started again has another number than the one that was written down.
  for (const [name, service] of Object.entries(services)) {
    let known = service.pid();
    service.onRestart((pid) => {
      endpoints.pids[name] = [pid];
      changeEndpoints(({ pids }) => (pids[name] = [pid, ...(pids[name] ?? []).filter((other) => other !== known)]));
      known = pid;
    });
  }
  if (options.demo) {
    await prepareDemo({ rest, natsUrl: nats.url, plantPassword: users.plant, pool: database.pool, bus });
    if (options.demoNowMs === null) {
      const plant = await startProcess({
        name: "demo-plant",
        file: "scripts/demo/live.ts",
        env: {
          NATS_URL: nats.url,
          NATS_PASSWORD: users.plant,
          FAULTS_DIRECTORY: `${LOCAL}/demo/faults`,
          EPOCH_MS: String(readState()!.endMs - HISTORY_DAYS * DAY_MS),
        },
        say,
        isStopping: () => isStopping,
      });
      stack.use(plant);
      endpoints.pids["demo-plant"] = [plant.pid()];
    }
  }
  const { count: models } = await rest<{ count: number }>("GET", "/api/model-training/?current=true&limit=1000");
  const { code } = await rest<{ code: string }>("POST", "/api/session/codes/");
  stack.defer(removeEndpoints);
  writeEndpoints(endpoints);
  console.log(readyBlock(endpoints, code, models));
  const signal = await stopped;
  removeEndpoints();
  say(`stopping (${signal})`);
}

interface Options {
  demo: boolean;
  fresh: boolean;
  port: number | null;
  demoNowMs: number | null;
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        "no-demo": { type: "boolean" },
        fresh: { type: "boolean" },
        port: { type: "string" },
        "demo-now": { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help === true) {
      console.log(USAGE);
      process.exit(0);
    }
    const port = values.port === undefined ? null : Number(values.port);
    if (port !== null && !(Number.isInteger(port) && port > 0 && port < 65_536))
      throw new Error(`--port is a number from 1 to 65535, and not ${values.port}`);
    const demoNowMs = values["demo-now"] === undefined ? null : Date.parse(values["demo-now"]);
    if (Number.isNaN(demoNowMs))
      throw new Error(`--demo-now is a time such as 2026-11-01T00:00:00Z, and not ${values["demo-now"]}`);
    if (demoNowMs !== null && demoNowMs > Date.now()) throw new Error("--demo-now may not be in the future");
    return {
      demo: values["no-demo"] !== true,
      fresh: values.fresh === true,
      port,
      demoNowMs: demoNowMs === null ? null : Math.floor(demoNowMs / MINUTE_MS) * MINUTE_MS,
    };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function choosePort(what: string, preferred: number): Promise<number> {
  const { port, taken } = await freePort(preferred);
  if (taken) say(`port ${preferred} is taken; ${what} listens on ${port}`);
  return port;
}

async function choosePorts() {
  const gateway = await choosePort("the gateway", options.port ?? PORTS.gateway);
  const metrics: number[] = [];
  for (let n = 0; n < SERVICE_USERS.length; n++)
    metrics.push((await freePort((metrics.at(-1) ?? PORTS.metrics - 1) + 1)).port);
  return { gateway, metrics };
}

async function startServices(
  stack: AsyncDisposableStack,
  parts: {
    natsUrl: string;
    users: NatsUsers;
    databaseUrl: string;
    databasePasswords: DatabasePasswords;
    tokens: Endpoints["tokens"];
    ports: Awaited<ReturnType<typeof choosePorts>>;
  },
): Promise<Record<string, StartedProcess>> {
  const started = await Promise.all(
    SERVICE_USERS.map(async (name, n) => {
      const service = await startProcess({
        name,
        file: `services/${name}/src/main.ts`,
        say,
        isStopping: () => isStopping,
        env: {
          NATS_URL: parts.natsUrl,
          NATS_USER: name,
          NATS_PASSWORD: parts.users[name],
          DATABASE_URL: databaseUrlOf(name, parts.databaseUrl, parts.databasePasswords),
          METRICS_PORT: String(parts.ports.metrics[n]),
          ...settingsOf(process.env),
          ...(name === "gateway"
            ? { PORT: String(parts.ports.gateway), BOOTSTRAP_TOKENS: JSON.stringify(parts.tokens) }
            : {}),
        },
      });
      return [name, service] as const;
    }),
  );
  stack.defer(async () => {
    await Promise.all(started.map(([, service]) => service[Symbol.asyncDispose]()));
  });
  return Object.fromEntries(started);
}

interface DemoState {
  endMs: number;
  complete: boolean;
}

const readState = (): DemoState | null =>
  existsSync(STATE_FILE) ? (JSON.parse(readFileSync(STATE_FILE, "utf8")) as DemoState) : null;

function keepState(state: DemoState): void {
  mkdirSync(`${LOCAL}/demo`, { recursive: true });
  writeFileSync(STATE_FILE, JSON.stringify(state));
}

/** Sensors, history, models, as far as an earlier start has not made them. */
async function prepareDemo(parts: {
  rest: Rest;
  natsUrl: string;
  plantPassword: string;
  pool: pg.Pool;
  bus: Bus;
}): Promise<void> {
  const { rest, pool } = parts;
  // A start that was cut short goes on where it was, with the same history.
  const state = readState() ?? {
    endMs: options.demoNowMs ?? Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS,
    complete: false,
  };
  keepState(state);
  if (!state.complete) {
    await makeSensors(rest);
    await makeCalibrations(rest, state.endMs);
    say(`${DEMO_SENSORS.length} demo sensors and their calibrations are there`);
    await using plant = await openBus({
      natsUrl: parts.natsUrl,
      natsUser: "plant",
      natsPassword: parts.plantPassword,
      name: "demo history",
    });
    await publishHistory(plant, state.endMs, (readings) =>
      progress(`history ${readings} of ${HISTORY_READINGS} published`, readings === HISTORY_READINGS),
    );
    await untilHeard(pool, parts.bus);
    await trainDemo(rest);
    keepState({ ...state, complete: true });
  }
}

/** Until all four services have passed everything that is in the log now. */
async function untilHeard(pool: pg.Pool, bus: Bus): Promise<void> {
  const { state } = await bus.manager.streams.info("READINGS");
  const hangs = createStillness();
  for (; ; await pause(250)) {
    const { rows } = await pool.query<{ behind: number; services: number; kept: number; passed: number }>(
      `select (select coalesce(sum(readings), 0) from sensor_latest)::int8 as kept, count(*) filter (where kept < $1)::int as behind, count(distinct service)::int as services, coalesce(sum(kept), 0)::int8 as passed from stream_positions`,
      [state.last_seq],
    );
    const { behind, services, kept, passed } = rows[0]!;
    const done = services === 4 && behind === 0;
    progress(`history ${kept} of ${HISTORY_READINGS} kept and judged`, done);
    if (done) return;
    if (hangs(passed))
      throw new Error(
        `the history was taken in no further for ${STILL_MS_MAX / 60_000} minutes; the services' logs are in .local/log/`,
      );
    if (isStopping) throw new Error("stopped before the demo was ready; the next start goes on from here");
  }
}

async function trainDemo(rest: Rest): Promise<void> {
  const { job_id: job } = await rest<{ job_id: string }>("POST", "/api/model-training/", {
    sensor_id: "all",
    model_type: "all",
  });
  const hangs = createStillness();
  for (; ; await pause(250)) {
    const { status, results } = await rest<{
      status: string;
      results: { results: Record<string, { status: string; error?: string }> }[];
    }>("GET", `/api/model-training/jobs/${job}/`);
    const outcomes = results.flatMap(({ results: own }) => Object.values(own));
    const trained = outcomes.filter((outcome) => outcome.status === "trained").length;
    progress(`training ${trained} of ${MODELS}`, status === "finished");
    const failed = outcomes.find((outcome) => outcome.status === "failed");
    if (failed !== undefined) say(`one training failed: ${failed.error}`);
    if (status === "finished") return;
    if (isStopping) throw new Error("stopped before the demo was ready; the next start goes on from here");
    if (hangs(outcomes.length))
      throw new Error(
        `no model was trained for ${STILL_MS_MAX / 60_000} minutes; the trainer's log is .local/log/trainer.log`,
      );
  }
}

/** Says whether a figure has stood still for too long. */
function createStillness(): (figure: number) => boolean {
  let last = Number.NaN;
  let sinceMs = Date.now();
  return (figure) => {
    if (figure !== last) sinceMs = Date.now();
    last = figure;
    return Date.now() - sinceMs > STILL_MS_MAX;
  };
}

async function isAlive(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

function readyBlock({ gateway, nats, tokens }: Endpoints, code: string, models: number): string {
  return `
ready
  dashboard  ${gateway}/?code=${code}   (signs you in, once)
  NATS       ${nats}   (user plant; passwords are in ${LOCAL.startsWith(ROOT) ? LOCAL.slice(ROOT.length) : LOCAL}/endpoints.json)
  models     ${models} models
  try        curl -H "Authorization: Bearer ${tokens.viewer}" "${gateway}/api/sensors/"

Ctrl-C stops all of it.`;
}

try {
  await run();
} catch (error) {
  removeEndpoints();
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
