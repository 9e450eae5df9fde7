/**
 *   sensors that speak steadily, people who look, requests for training ──▶ six services, for a long time
 *      ──▶ memory, lag, connections, file descriptors, consumers and tables stay where they are
 *
 * `npm run chaos -- --soak --minutes N`. What grows faster than its limit, beyond chance, fails it.
 */
import { createRandom } from "@calibration/models/random.ts";
import { ensureStreams } from "@calibration/shared/bus.ts";
import { streams, subjects } from "@calibration/shared/topology.ts";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";
import { openArena, openArenaPostgres, somePort, type Arena } from "../support/chaos/arena.ts";
import { STREAM_SERVICES } from "../support/chaos/faults.ts";
import { keepSensors, type LoadSensor } from "../support/chaos/load.ts";
import { WAIT_MS } from "../support/plant.ts";
import { steadinessOf, tableOf, type Figure } from "../support/steady.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MINUTES = Number(process.env["CHAOS_MINUTES"] ?? 15);
const SEED = Number(process.env["CHAOS_SEED"] ?? 1);
const SENSORS = 40;
/** More than any window of the novelty detector holds: from then on it forgets as much as it learns. */
const HISTORY = 4_500;
const HISTORY_PER_MESSAGE = 500;
/** One reading of each sensor. */
const SPEAK_MS = 1_000;
const LOOK_MS = 1_000;
const TRAIN_MS = 3_000;
const SAMPLE_MS = 5_000;
/** Compiled code, pools and caches find their size in this part of the time. */
const WARM_UP_SHARE = 0.25;
const MEGABYTE = 1024 ** 2;
const DAY_MS = 86_400_000;

/** What each reading, request or fault adds a row to: their size is told by the row. */
const GROWING = [
  "readings",
  "corrected_readings",
  "readings_per_minute",
  "readings_per_hour",
  "corrected_per_hour",
  "hourly_means",
  "anomalies",
  "drift_predictions",
  "dead_letters",
  "audit_log",
  "training_jobs",
  "training_runs",
  "model_artifacts",
  "model_promotions",
];

it(
  "under a steady load nothing grows but what is kept",
  async () => {
    await using postgres = await openArenaPostgres();
    await using arena = await openArena({ postgres, database: "soak" });
    await using admin = await arena.openAdmin();
    await ensureStreams(admin, { partitions: 16 });
    const validFrom = new Date(Date.now() - 60_000);
    const sensors = Array.from({ length: SENSORS }, (_, n) => aSensor(n + 1));
    await keepSensors(arena, sensors, validFrom);
    const token = randomBytes(16).toString("hex");
    const restPort = await somePort();
    // What is no longer needed is given back before it is counted.
    const env = {
      NODE_OPTIONS: `--import ${join(ROOT, "scripts/bench/gc-often.ts")}`,
      // So little that models which are trained anew and anew fill it soon.
      MODEL_CACHE_MB: "8",
    };
    await Promise.all([
      ...STREAM_SERVICES.map((name) => arena.join(name, env)),
      arena.join("trainer", { ...env, TRAINER_SCHEDULE: "never" }),
      arena.join("gateway", {
        ...env,
        PORT: String(restPort),
        BOOTSTRAP_TOKENS: JSON.stringify({ admin: token }),
      }),
    ]);
    const pids = arena.members.map((member) => member.pid());
    const url = `http://127.0.0.1:${restPort}`;
    const ask = async (method: string, path: string, body?: unknown): Promise<number> => {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      await response.arrayBuffer();
      return response.status;
    };
    const say = (sensor: LoadSensor, body: unknown) =>
      admin.jetstream.publish(subjects.reading(sensor.site, sensor.key), JSON.stringify(body));

    const random = createRandom(SEED);
    const value = () => Math.round((50 + random.normal() + (random.integer(500) === 0 ? 30 : 0)) * 1_000) / 1_000;
    const beginsMs = Date.now();
    for (const sensor of sensors)
      for (let n = 0; n < HISTORY; n += HISTORY_PER_MESSAGE)
        await say(
          sensor,
          Array.from({ length: HISTORY_PER_MESSAGE }, (_, i) => ({
            value: value(),
            timestamp: beginsMs - 2 * DAY_MS + (n + i) * 30_000,
          })),
        );
    await expect
      .poll(() => lagOf(admin, arena), { timeout: WAIT_MS, interval: 500, message: "the history is passed" })
      .toBeLessThan(100);

    // As many models as anomaly keeps open, and more.
    for (let round = 0; round < 2; round++) {
      expect(await ask("POST", "/api/model-training/?async=true", { sensor_id: "all", model_type: "all" })).toBe(202);
      await expect
        .poll(async () => (await admin.manager.streams.info(streams.training.name)).state.messages, {
          timeout: WAIT_MS,
          interval: 500,
        })
        .toBe(0);
      for (const sensor of sensors) await say(sensor, { value: value(), timestamp: Date.now() });
    }

    const stop = new AbortController();
    const wrong = new Map<string, number>();
    const regularly = async (everyMs: number, work: (n: number) => Promise<unknown>): Promise<void> => {
      for (let n = 0; !stop.signal.aborted; n++) {
        await work(n).catch((error: Error) => wrong.set(error.message, (wrong.get(error.message) ?? 0) + 1));
        const nextMs = beginsMs + Math.ceil((Date.now() - beginsMs) / everyMs) * everyMs;
        await pause(Math.max(1, nextMs - Date.now()), undefined, { signal: stop.signal }).catch(() => undefined);
      }
    };
    const answered = async (method: string, path: string, body?: unknown) => {
      const status = await ask(method, path, body);
      if (status >= 400) throw new Error(`${method} ${path.split("?")[0]}: ${status}`);
    };
    const load = Promise.all([
      regularly(SPEAK_MS, () =>
        Promise.all(sensors.map((sensor) => say(sensor, { value: value(), timestamp: Date.now() }))),
      ),
      regularly(SPEAK_MS, (n) => say(sensors[n % SENSORS]!, { value: "hot", n })),
      regularly(LOOK_MS, async (n) => {
        const id = 1 + (n % SENSORS);
        for (const path of [
          "/api/sensors/?limit=100",
          `/api/readings/?sensor_id=${id}&resolution=auto`,
          "/api/anomalies/?resolved=false",
          "/api/ml-analytics/",
          `/api/sensors/${id}/drift-prediction/`,
        ])
          await answered("GET", path);
        await answered("POST", "/api/readings/", { sensor_id: id, raw_value: value() });
        await answered("POST", "/api/enhanced-anomaly-detection/", { sensor_id: id });
      }),
      // Somebody opens the dashboard, and closes it again.
      regularly(LOOK_MS, async () => {
        const page = new AbortController();
        const response = await fetch(`${url}/api/events/`, {
          headers: { authorization: `Bearer ${token}` },
          signal: page.signal,
        });
        await response.body!.getReader().read();
        page.abort();
      }),
      regularly(TRAIN_MS, (n) =>
        answered("POST", "/api/model-training/?async=true", { sensor_id: 1 + (n % SENSORS), model_type: "all" }),
      ),
    ]);

    const samples = new Map<string, { figure: Figure; values: [number, number][] }>();
    const untilMs = beginsMs + MINUTES * 60_000;
    while (Date.now() < untilMs) {
      await pause(SAMPLE_MS);
      const seconds = (Date.now() - beginsMs) / 1_000;
      for (const { value: found, ...figure } of await figuresOf(arena, admin)) {
        const known = samples.get(figure.name) ?? { figure, values: [] };
        samples.set(figure.name, known);
        known.values.push([seconds, found]);
      }
      if (Math.round(seconds / 60) !== Math.round((seconds - SAMPLE_MS / 1_000) / 60))
        process.stderr.write(`${Math.round(seconds / 60)} minutes\n`);
    }
    stop.abort();
    await load;

    const measured = [...samples.values()].map(({ figure, values }) =>
      steadinessOf(figure, values.slice(Math.floor(values.length * WARM_UP_SHARE))),
    );
    console.log(
      `${MINUTES} minutes, the first ${WARM_UP_SHARE * 100} % left out; ${SENSORS} sensors, each a reading a second\n${tableOf(measured)}`,
    );
    writeFileSync(join(inject("localDirectory"), "soak.json"), JSON.stringify([...samples]));
    expect(Object.fromEntries(wrong)).toEqual({});
    expect(arena.members.map((member) => member.pid())).toEqual(pids);
    expect(measured.filter(({ grows }) => grows).map(({ name }) => name)).toEqual([]);
  },
  MINUTES * 60_000 + 1_800_000,
);

const aSensor = (id: number): LoadSensor => ({
  id,
  site: "main",
  key: String(id),
  kind: "live",
  stepMs: 1_000,
  beginsMs: 0,
});

type Sample = Figure & { value: number };

async function figuresOf(arena: Arena, admin: Awaited<ReturnType<Arena["openAdmin"]>>): Promise<Sample[]> {
  const found: Sample[] = [];
  const add = (name: string, unit: string, perHourMax: number, value: number) =>
    found.push({ name, unit, perHourMax, value });
  for (const { name, metricsPort } of arena.members) {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const metric = (of: string): number[] =>
      [...text.matchAll(new RegExp(`^${of}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].map(([, one]) => Number(one));
    const [heap = 0] = metric("nodejs_heap_size_used_bytes");
    const [external = 0] = metric("nodejs_external_memory_bytes");
    add(`${name}: heap in use`, "MB", 10, heap / MEGABYTE);
    const [models] = metric("calibration_model_cache_bytes");
    // What is trained anew fills the cache until its limit, and is no leak; what is in use beside it must stay.
    if (models !== undefined) add(`${name}: models held`, "MB", Infinity, models / MEGABYTE);
    add(`${name}: memory beside heap and models`, "MB", 10, (external - (models ?? 0)) / MEGABYTE);
    add(`${name}: resident memory`, "MB", 100, metric("process_resident_memory_bytes")[0]! / MEGABYTE);
    // Of the platforms, only Linux says.
    const [descriptors] = metric("process_open_fds");
    if (descriptors !== undefined) add(`${name}: file descriptors`, "open", 10, descriptors);
    const lag = metric("calibration_partition_lag_messages");
    if (lag.length > 0) add(`${name}: lag`, "messages", 100, Math.max(...lag));
  }
  const { monitorUrl } = arena.nats.running!;
  const server = (await (await fetch(`${monitorUrl}/varz`)).json()) as Record<
    "mem" | "connections" | "subscriptions",
    number
  >;
  add("nats-server: resident memory", "MB", 100, server.mem / MEGABYTE);
  add("nats-server: connections", "open", 10, server.connections);
  add("nats-server: subscriptions", "open", 40, server.subscriptions);
  for (const { name } of Object.values(streams))
    add(
      `nats-server: consumers of ${name}`,
      "there",
      40,
      (await admin.manager.streams.info(name)).state.consumer_count,
    );
  const [{ n: sessions }] = (await arena.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where backend_type = 'client backend'",
  )) as [{ n: number }];
  add("PostgreSQL: connections", "open", 10, sessions);
  const tables = await arena.query<{ name: string; bytes: number; rows: number }>(
    `select coalesce(parent.relname, t.relname) as name, sum(pg_total_relation_size(t.oid))::int8 as bytes, sum(s.n_live_tup)::int8 as rows
       from pg_class t join pg_stat_user_tables s on s.relid = t.oid
       left join pg_inherits i on i.inhrelid = t.oid left join pg_class parent on parent.oid = i.inhparent
      group by 1 order by 1`,
  );
  for (const { name, bytes, rows } of tables)
    if (!GROWING.includes(name)) add(`table ${name}`, "MB", 20, bytes / MEGABYTE);
    else if (rows > 1_000) add(`table ${name}`, "bytes a row", 100, bytes / rows);
  return found;
}

/** Of the service that is furthest behind, in messages. */
async function lagOf(admin: Awaited<ReturnType<Arena["openAdmin"]>>, arena: Arena): Promise<number> {
  const { state } = await admin.manager.streams.info(streams.readings.name);
  const rows = await arena.query<{ service: string; n: number; kept: number }>(
    "select service, count(*)::int as n, max(kept)::int8 as kept from stream_positions group by 1",
  );
  return rows.length < STREAM_SERVICES.length ? Infinity : state.last_seq - Math.min(...rows.map(({ kept }) => kept));
}
