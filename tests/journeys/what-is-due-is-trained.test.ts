/**
 *   the schedule, or npm run auto-train-models ──▶ what is due, and why ──training.<type>.<id>──▶ trainer ──▶ model_artifacts
 */
import { execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMMAND_MS_MAX = 10 * 60_000;
const MINUTE_MS = 60_000;

interface Ended {
  code: number;
  lines: string[];
}

const COMMAND = "scripts/cli/auto-train-models.ts";
const envOf = (plant: Plant) => ({
  PATH: process.env["PATH"] ?? "",
  NATS_URL: plant.nats.url,
  NATS_USER: "admin",
  NATS_PASSWORD: plant.nats.users.admin,
  DATABASE_URL: plant.databaseUrl,
});

const autoTrain = (plant: Plant, ...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [COMMAND, ...args],
      { cwd: ROOT, env: envOf(plant), timeout: COMMAND_MS_MAX },
      (error, stdout, stderr) =>
        resolve({
          code: error === null ? 0 : Number(error.code ?? -1),
          lines: (stdout + stderr).trim().split("\n").toSorted(),
        }),
    );
  });

it("a model is due when there is none, when it is old, when there is more to learn from, and after a calibration", async () => {
  await using plant = await openPlant({ partitions: 2, services: ["ingest", "trainer"] });
  const { ask } = await openGateway(plant);
  const { body: sensor } = await ask("POST", "/api/sensors/", { id: 1, name: "One", type: "Flow" });
  await ask("POST", "/api/sensors/", { id: 2, name: "Few", type: "Flow" });
  const start = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 2_000 * MINUTE_MS;
  let said = 0;
  const say = async (count: number): Promise<void> => {
    const from = said;
    said += count;
    await plant.publish(
      sensor,
      Array.from({ length: count }, (_, n) => ({
        value: 20 + Math.sin((from + n) / 30) + 0.3 * Math.sin((from + n) * 1.7),
        timestamp: start + (from + n) * MINUTE_MS,
      })),
    );
    await expect
      .poll(() => plant.rows("select readings::int from sensor_latest where sensor_id = 1"), { timeout: WAIT_MS })
      .toEqual([{ readings: said }]);
  };
  const calibrate = (minute: number) =>
    ask("POST", "/api/calibrations/", {
      sensor_id: 1,
      corrected_value: 21,
      applied_at: new Date(start + minute * MINUTE_MS).toISOString(),
    });
  const due = async (...args: string[]) => {
    const { body: before } = await ask("GET", "/api/model-training/?limit=1");
    const newest = before.results[0]?.id ?? 0;
    const ended = await autoTrain(plant, "--run-once", ...args);
    expect(ended).toMatchObject({ code: 0 });
    const { body } = await ask("GET", "/api/model-training/?order=asc&limit=1000");
    return body.results
      .filter(({ id }: { id: number }) => id > newest)
      .map((one: { model_type: string; due_because: string }) => `${one.model_type}: ${one.due_because}`)
      .toSorted();
  };

  // Nine readings are short of data, and what is short of data is not due.
  await say(9);
  expect(await autoTrain(plant, "--run-once")).toEqual({ code: 0, lines: ["Nothing is due."] });
  await say(191);
  expect(await due()).toEqual(["anomaly: no current model", "drift: no current model"]);
  expect(await due()).toEqual([]);
  // A fifth more is 40: a hundred are the least.
  await say(99);
  expect(await due()).toEqual([]);
  await say(1);
  expect(await due()).toEqual(["anomaly: 100 more readings", "drift: 100 more readings"]);

  await plant.rows(
    "update model_artifacts set trained_at = trained_at - interval '8 days' where current and model_type = 'anomaly'",
  );
  expect(await due("--max-age-days", "30")).toEqual([]);
  expect(await due()).toEqual(["anomaly: older than 7 days"]);

  // Four calibrations make no model of their own, and are news to what follows the drift.
  for (const minute of [20, 50, 80, 110]) await calibrate(minute);
  expect(await due()).toEqual(["drift: a new calibration"]);
  await calibrate(140);
  expect(await due()).toEqual(["calibration: no current model", "drift: a new calibration"]);
  await calibrate(170);
  expect(await due()).toEqual(["calibration: a new calibration", "drift: a new calibration"]);
  expect(await due()).toEqual([]);

  // Without an end it looks again and again, and ends when it is told to.
  const looking = spawn(process.execPath, [COMMAND, "--interval", "1"], { cwd: ROOT, env: envOf(plant) });
  using _looking = { [Symbol.dispose]: () => void looking.kill("SIGKILL") };
  const ended = new Promise<number | null>((resolve) => looking.once("exit", resolve));
  let told = "";
  looking.stdout.on("data", (chunk: Buffer) => (told += chunk.toString()));
  await expect.poll(() => told, { timeout: WAIT_MS }).toMatch(/Nothing is due\.\n/);
  await say(60);
  await expect.poll(() => told.match(/Nothing is due\.\n/g)?.length ?? 0, { timeout: WAIT_MS }).toBeGreaterThan(2);
  await say(100);
  await expect.poll(() => told, { timeout: WAIT_MS }).toContain("sensor 1 anomaly: trained, version 4");
  looking.kill("SIGTERM");
  expect(await ended).toBe(0);
});

it("the schedule trains what is due, however many trainers have one", async () => {
  await using plant = await openPlant({ partitions: 2, services: ["ingest"] });
  const { ask } = await openGateway(plant);
  const { body: sensor } = await ask("POST", "/api/sensors/", { id: 1, name: "One", type: "Flow" });
  await plant.publish(
    sensor,
    Array.from({ length: 60 }, (_, n) => ({ value: 20 + Math.sin(n), timestamp: Date.UTC(2026, 0, 5, n) })),
  );
  await expect
    .poll(() => plant.rows("select readings::int from sensor_latest where sensor_id = 1"), { timeout: WAIT_MS })
    .toEqual([{ readings: 60 }]);
  const eachSecond = { TRAINER_SCHEDULE: "* * * * * *" };
  await Promise.all([plant.start("trainer", eachSecond), plant.start("trainer", eachSecond)]);
  const models = async () => (await ask("GET", "/api/model-training/?order=asc")).body.results;
  await expect.poll(async () => (await models()).length, { timeout: WAIT_MS }).toBe(2);
  for (const model of await models())
    expect(model).toMatchObject({ version: 1, current: true, trigger: "schedule", due_because: "no current model" });
  expect(await plant.rows("select trigger, total from training_jobs")).toEqual([{ trigger: "schedule", total: 2 }]);
});
