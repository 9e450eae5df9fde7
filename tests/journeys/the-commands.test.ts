/**
 *   npm run import-readings ──readings.<site>.<key>──▶ READINGS ──▶ readings ──▶ npm run train-models ──▶ model_artifacts
 *
 * Each command runs as the process that a person starts.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

interface Ended {
  code: number;
  said: string;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Public series that lie beside a developer's checkout; the repository holds none. */
const SERIES = join(ROOT, "../shared/data/nab");
const COMMAND_MS_MAX = 10 * 60_000;
const HOUR_MS = 3_600_000;

let plant: Plant;
let ask: Ask;
let directory: string;
let run: (command: string, ...args: string[]) => Promise<Ended>;
/** With other words in the environment; undefined: without it. */
let runIn: (more: Record<string, string | undefined>, command: string, ...args: string[]) => Promise<Ended>;
let gatewayUrl: string;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  plant = stack.use(await openPlant({ services: ["ingest", "anomaly", "trainer"] }));
  const gateway = await openGateway(plant);
  ({ ask } = gateway);
  directory = mkdtempSync(join(inject("localDirectory"), "tests", "commands-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const publishes = ["import-readings", "publish-reading"];
  gatewayUrl = gateway.url;
  run = (...given) => runIn({}, ...given);
  runIn = (more, command, ...args) => {
    const user = publishes.includes(command) ? "plant" : "admin";
    const env = {
      PATH: process.env["PATH"] ?? "",
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? `${ROOT}.local/compile-cache`,
      LOCAL_DIRECTORY: directory,
      GATEWAY_URL: gateway.url,
      API_TOKEN: gateway.tokens["admin"]!,
      NATS_URL: plant.nats.url,
      NATS_USER: user,
      NATS_PASSWORD: plant.nats.users[user],
      DATABASE_URL: plant.databaseUrl,
      ...more,
    };
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [`scripts/cli/${command}.ts`, ...args],
        { cwd: ROOT, env, timeout: COMMAND_MS_MAX },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), said: stdout + stderr }),
      );
    });
  };
  for (const id of [1, 2, 3]) await ask("POST", "/api/sensors/", { id, name: `Series ${id}`, type: "Temperature" });
});
afterAll(() => stack.disposeAsync());

const kept = async (id: number): Promise<number> =>
  (await plant.rows<{ n: number }>("select count(*)::int n from readings where sensor_id = $1", [id]))[0]!.n;

function aFile(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

describe("the commands", () => {
  it("import-readings keeps what is usable, names the rest by its line, and adds nothing the second time", async () => {
    const start = Date.UTC(2026, 0, 5);
    const rows = Array.from({ length: 1_500 }, (_, n) => [new Date(start + n * HOUR_MS).toISOString(), 20 + (n % 24)]);
    // The newest first, as some historians export: it is put in order before it is sent.
    const text =
      "timestamp,value\n" +
      rows
        .toReversed()
        .map((row) => row.join(","))
        .join("\n");
    const file = aFile("history.csv", `${text}\n2026-01-05T00:00:00Z,hot\nyesterday,1\n9999-01-01T00:00:00Z,1\n`);
    const first = await run("import-readings", "--sensor-id", "1", file);
    expect(first).toMatchObject({
      code: 0,
      said: expect.stringContaining("1500 readings of sensor 1 published") as string,
    });
    expect(first.said).toContain('line 1502: "hot" is no number');
    expect(first.said).toContain("line 1504: timestamp is in the future");
    expect(first.said).toContain("3 rows skipped");
    await expect.poll(() => kept(1), { timeout: WAIT_MS }).toBe(1_500);
    expect(await run("import-readings", "--sensor-id", "1", file)).toMatchObject({ code: 0 });
    await expect
      .poll(
        () =>
          plant.rows("select sum((counters->>'repeated')::int)::int n from stream_positions where service = 'ingest'"),
        { timeout: WAIT_MS },
      )
      .toEqual([{ n: 1_500 }]);
    expect(await kept(1)).toBe(1_500);
    expect(await plant.rows("select 1 from dead_letters")).toEqual([]);
    // In order means none of them was late: the newest is the last that was told.
    expect(await plant.rows("select timestamp from sensor_latest where sensor_id = 1")).toEqual([
      { timestamp: new Date(start + 1_499 * HOUR_MS) },
    ]);
  });

  it("train-models says a line a model; what is short of data is no failure, wrong usage is", async () => {
    const trained = await run("train-models", "--sensor-id", "1");
    expect(trained.code).toBe(0);
    expect(trained.said.trim().split("\n").toSorted()).toEqual([
      "sensor 1 anomaly: trained, version 1, on 1500 samples",
      "sensor 1 calibration: not trained: Not enough data: 5 calibrations needed, 0 available",
      expect.stringMatching(/^sensor 1 drift: trained, version 1, on \d+ samples$/) as string,
    ]);
    expect(await run("train-models", "--sensor-id", "99")).toMatchObject({
      code: 1,
      said: "Sensor 99 does not exist.\n",
    });
    expect(await run("train-models", "--model-type", "tea", "--all-sensors")).toMatchObject({ code: 2 });
    expect(await run("train-models")).toMatchObject({ code: 2 });
    const help = await run("train-models", "--help");
    expect(help).toMatchObject({ code: 0, said: expect.stringContaining("--all-sensors") as string });
  });

  it("train-models and auto-train-models end with 1 where a model failed, and say why; the others are trained", async () => {
    const { body: sensor } = await ask("POST", "/api/sensors/", { id: 4, name: "Endless", type: "Flow" });
    // Numbers that readings may have, and that have no mean.
    await plant.publish(
      sensor,
      Array.from({ length: 40 }, (_, n) => ({
        value: n % 2 === 0 ? 1.7e308 : -1.7e308,
        timestamp: Date.UTC(2026, 0, 5, n),
      })),
    );
    await expect.poll(() => kept(4), { timeout: WAIT_MS }).toBe(40);
    const failure = "sensor 4 drift: Training failed: the data do not come to a model: a drift model lacks its numbers";
    const trained = await run("train-models", "--sensor-id", "4");
    expect(trained.code).toBe(1);
    expect(trained.said.trim().split("\n").toSorted()).toEqual([
      "sensor 4 anomaly: trained, version 1, on 40 samples",
      "sensor 4 calibration: not trained: Not enough data: 5 calibrations needed, 0 available",
      failure,
    ]);
    const due = await run("auto-train-models", "--run-once");
    expect(due.code).toBe(1);
    expect(due.said).toContain(failure);
    expect((await ask("DELETE", "/api/sensors/4/?force=true")).status).toBe(204);
  });

  it("publish-reading publishes as a plant does", async () => {
    const { code, said } = await run(
      "publish-reading",
      "--sensor",
      "3",
      "--value",
      "21.5",
      "--timestamp",
      "2026-01-05T00:00:00Z",
    );
    expect({ code, said }).toMatchObject({
      code: 0,
      said: expect.stringContaining("acknowledged by READINGS") as string,
    });
    await expect.poll(() => kept(3), { timeout: WAIT_MS }).toBe(1);
    expect(await run("publish-reading", "--sensor", "3", "--value", "warm")).toMatchObject({ code: 2 });

    // A number below zero is no option, and a time may be epoch milliseconds.
    const minuteLaterMs = String(Date.UTC(2026, 0, 5, 0, 1));
    const below = ["--sensor", "3", "--value", "-4.5", "--timestamp", minuteLaterMs];
    expect(await run("publish-reading", ...below)).toMatchObject({ code: 0 });
    await expect
      .poll(() => plant.rows("select raw_value, timestamp from readings where sensor_id = 3 and raw_value < 0"), {
        timeout: WAIT_MS,
      })
      .toEqual([{ raw_value: -4.5, timestamp: new Date(Number(minuteLaterMs)) }]);
    expect(await run("publish-reading", "--sensor", "3", "--value", "-warm")).toMatchObject({ code: 2 });
  });

  it("a command is told where the platform is by addresses alone, and says in one sentence that nobody is let in there", async () => {
    const { admin, plant: plantPassword } = plant.nats.users;
    const alone = (user: string, password: string) => ({
      NATS_URL: plant.nats.url.replace("//", `//${user}:${password}@`),
      NATS_USER: undefined,
      NATS_PASSWORD: undefined,
      GATEWAY_URL: `${gatewayUrl}/`,
    });
    const publish = ["publish-reading", "--sensor", "3", "--value", "7"] as const;
    expect(await runIn(alone("plant", plantPassword), ...publish)).toMatchObject({ code: 0 });
    expect(await runIn(alone("admin", admin), "train-models", "--sensor-id", "99999999999")).toEqual({
      code: 1,
      said: "Sensor 99999999999 does not exist.\n",
    });
    const file = aFile("one.csv", "timestamp,value\n2026-01-05T00:02:00Z,8\n");
    expect(await runIn(alone("plant", plantPassword), "import-readings", "--sensor-id", "3", file)).toMatchObject({
      code: 0,
    });
    expect(await runIn(alone("reader", plant.nats.users.reader), ...publish)).toEqual({
      code: 1,
      said: 'NATS did not take it: Permissions Violation for Publish to "readings.main.3"\n',
    });
    const { code, said } = await runIn(alone("plant", "a guess"), ...publish);
    expect(code).toBe(1);
    expect(said).toMatch(/^NATS at nats:\/\/[\d.:]+ let nobody in: .*\n$/);
  });

  it("auto-train-models trains what is due and then nothing; a real series that is replayed shows its anomaly", async (context) => {
    const series = join(SERIES, "artificialWithAnomaly/art_daily_jumpsup.csv");
    context.skip(!existsSync(series), "the public series are not beside this checkout");
    const learnt = await run(
      "import-readings",
      "--sensor-id",
      "2",
      join(SERIES, "artificialNoAnomaly/art_daily_small_noise.csv"),
    );
    expect(learnt).toMatchObject({ code: 0, said: expect.stringContaining("4032 readings of sensor 2") as string });
    await expect.poll(() => kept(2), { timeout: WAIT_MS }).toBe(4_032);
    const due = await run("auto-train-models", "--run-once");
    expect(due.code).toBe(0);
    expect(due.said).toContain("sensor 2 anomaly: trained, version 1, on 4032 samples");
    expect(await run("auto-train-models", "--run-once")).toMatchObject({ code: 0, said: "Nothing is due.\n" });

    const fortnightInSeconds = String(14 * 86_400);
    const replayed = await run(
      "import-readings",
      "--sensor-id",
      "2",
      "--shift-to-now",
      "--speed",
      fortnightInSeconds,
      series,
    );
    expect(replayed).toMatchObject({ code: 0, said: expect.stringContaining("4032 readings of sensor 2") as string });
    await expect.poll(() => kept(2), { timeout: WAIT_MS }).toBe(8_064);
    await expect
      .poll(async () => (await ask("GET", "/api/anomalies/?sensor_id=2&alarm=true")).body.results.length, {
        timeout: WAIT_MS,
      })
      .toBeGreaterThan(0);
  });
});
