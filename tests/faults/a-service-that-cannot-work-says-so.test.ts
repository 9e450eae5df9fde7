/**
 *   PostgreSQL answers and keeps nothing · its tables are held by a stranger · NATS answers and delivers nothing
 *      ──▶ every service that this touches says so in /readyz, its metric, its log and its container's healthcheck,
 *          and works again, the same process, when the cause is gone
 */
import { ensureStreams } from "@calibration/shared/bus.ts";
import { requestTraining } from "@calibration/shared/training.ts";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, expect, it } from "vitest";
import { openArena, openArenaPostgres, somePort, type Arena, type Member } from "../support/chaos/arena.ts";
import { STREAM_SERVICES } from "../support/chaos/faults.ts";
import { keepSensors } from "../support/chaos/load.ts";
import { WAIT_MS } from "../support/plant.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What is 60 s unless it is set. */
const STALL_SECONDS = "2";
const SENSOR = { id: 1, site: "main", key: "1", kind: "live", stepMs: 1, beginsMs: 0 } as const;

const stack = new AsyncDisposableStack();
let arena: Arena;
let restUrl: string;
const token = randomBytes(16).toString("hex");

// The tests below stand on it, in their order.
it("six services are at work", async () => {
  const postgres = stack.use(await openArenaPostgres());
  arena = stack.use(await openArena({ postgres, database: "standing" }));
  await using admin = await arena.openAdmin();
  await ensureStreams(admin, { partitions: 2 });
  await keepSensors(arena, [SENSOR], new Date(Date.now() - 60_000));
  const restPort = await somePort();
  restUrl = `http://127.0.0.1:${restPort}`;
  const env = { STALL_SECONDS, TRAINER_SCHEDULE: "never", PORT: String(restPort) };
  await Promise.all([
    ...STREAM_SERVICES.map((name) => arena.join(name, env)),
    arena.join("trainer", env),
    arena.join("gateway", { ...env, BOOTSTRAP_TOKENS: JSON.stringify({ admin: token }) }),
  ]);
  expect(await Promise.all(arena.members.map(isHealthy))).toEqual(arena.members.map(() => true));
});
afterAll(() => stack.disposeAsync());

it("PostgreSQL takes no writes", async () => {
  const database = new URL(arena.databaseUrl).pathname.slice(1);
  const setReadOnly = async (isOn: boolean) => {
    await arena.query(`alter database ${database} set default_transaction_read_only = ${isOn ? "on" : "off"}`);
    // Sessions keep what they began with.
    await arena
      .query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name <> '' and pid <> pg_backend_pid()",
      )
      .catch(() => undefined);
  };
  const same = await whileBroken(arena.members, /postgresql/, async () => {
    await setReadOnly(true);
    const refused = await fetch(`${restUrl}/api/sensors/1`, {
      method: "PATCH",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: "renamed" }),
    });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, "unavailable"]);
    return async () => {
      const admin = new pg.Client({ connectionString: arena.databaseUrl });
      await admin.connect();
      await admin.query("set default_transaction_read_only = off");
      await admin.query(`alter database ${database} reset default_transaction_read_only`);
      await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name <> ''");
      await admin.end();
    };
  });
  expect(same).toBe(true);
});

it("the tables are held by a stranger", async () => {
  await using admin = await arena.openAdmin();
  const stranger = new pg.Client({ connectionString: arena.databaseUrl });
  stranger.on("error", () => undefined);
  await stranger.connect();
  const same = await whileBroken(arena.members, /has not been (kept|answered) for \d+ s/, async () => {
    await stranger.query("begin");
    await stranger.query(
      "lock table readings, corrected_readings, anomaly_state, sensor_drift, training_runs, sensors in share mode",
    );
    await publish(admin);
    await askForTraining(admin);
    void fetch(`${restUrl}/api/sensors/1`, {
      method: "PATCH",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: "renamed" }),
    }).catch(() => undefined);
    return async () => {
      await stranger.query("rollback");
      await stranger.end();
    };
  });
  expect(same).toBe(true);
  expect(await arena.query("select name from sensors")).toEqual([{ name: "renamed" }]);
});

it("NATS delivers nothing of the stream", async () => {
  await using admin = await arena.openAdmin();
  const file = join(arena.nats.directory, "nats.conf");
  const whole = readFileSync(file, "utf8");
  const reload = (config: string) => {
    writeFileSync(file, config);
    process.kill(arena.nats.running!.pid, "SIGHUP");
  };
  const reads = arena.members.filter(({ name }) => name !== "gateway");
  const same = await whileBroken(reads, /partition \d|training queue/, async () => {
    // Whoever makes consumers or asks for their messages is refused; everything else is as it was.
    reload(whole.replaceAll(/"\$JS\.API\.CONSUMER\.(CREATE|MSG)[^"]*",? ?/g, ""));
    await publish(admin);
    await askForTraining(admin);
    return async () => reload(whole);
  });
  expect(same).toBe(true);
});

it("a stream is gone", async () => {
  await using admin = await arena.openAdmin();
  const same = await whileBroken(arena.members, /jetstream/, async () => {
    await admin.manager.streams.delete("READINGS");
    return () => ensureStreams(admin, { partitions: 2 });
  });
  expect(same).toBe(true);
});

let instant = Date.now() - 3_600_000;
const publish = async (admin: Awaited<ReturnType<Arena["openAdmin"]>>): Promise<void> => {
  instant += 1_000;
  await admin.jetstream.publish(
    `readings.${SENSOR.site}.${SENSOR.key}`,
    JSON.stringify({ value: 50, timestamp: instant }),
  );
};

async function askForTraining(admin: Parameters<typeof requestTraining>[0]): Promise<void> {
  const id = randomUUID();
  await requestTraining(admin, [
    { job_id: id, sensor_id: SENSOR.id, model_type: "anomaly", trigger: "request", due_because: null },
  ]);
}

/** Breaks something, sees each of them say so in every way there is, mends it, sees them at work, and returns whether they are the same processes. */
async function whileBroken(
  members: readonly Member[],
  trouble: RegExp,
  breakIt: () => Promise<() => Promise<void>>,
): Promise<boolean> {
  const pids = members.map((member) => member.pid());
  for (const member of members) {
    await member.untilReady();
    expect(await isHealthy(member)).toBe(true);
  }
  const mend = await breakIt();
  await Promise.all(
    members.map(async (member) => {
      await expect.poll(() => troublesOf(member), { timeout: WAIT_MS, message: member.name }).toMatch(trouble);
      expect([member.name, await readyMetric(member), await isHealthy(member)]).toEqual([member.name, "0", false]);
      expect(member.output()).toContain('"message":"it does not work"');
    }),
  );
  await mend();
  await using admin = await arena.openAdmin();
  await publish(admin);
  for (const member of members) {
    await member.untilReady();
    await expect.poll(() => readyMetric(member), { timeout: WAIT_MS }).toBe("1");
    expect(member.output()).toContain('"message":"it works again"');
  }
  const kept = "select 1 from corrected_readings join readings using (sensor_id, timestamp) where timestamp = $1";
  await expect.poll(async () => (await arena.query(kept, [new Date(instant)])).length, { timeout: WAIT_MS }).toBe(1);
  return members.every((member, n) => member.pid() === pids[n]);
}

async function troublesOf({ metricsPort }: Member): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`);
  return answer.status === 503 ? JSON.stringify(((await answer.json()) as { troubles: unknown }).troubles) : "";
}

async function readyMetric({ metricsPort }: Member): Promise<string | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return /^calibration_ready\{[^}]*\} (\d)/m.exec(text)?.[1];
}

/** What the container's healthcheck runs. */
const isHealthy = ({ metricsPort }: Member): Promise<boolean> =>
  new Promise((resolve) => {
    execFile("bash", [join(ROOT, "deploy/healthy"), String(metricsPort)], (error) => resolve(error === null));
  });
