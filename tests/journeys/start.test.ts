/**
 *   npm start ──▶ NATS, PostgreSQL, six services, demo plant ──▶ ready, 15 models ──SIGTERM──▶ nothing is left
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";

interface Endpoints {
  gateway: string;
  tokens: Record<string, string>;
  pids: Record<string, number[]>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** The demo's history and fifteen trainings, on a loaded machine. */
const READY_MS_MAX = 25 * 60_000;
const STOP_MS_MAX = 120_000;
const PORT_FIRST = 18_100;

async function start(
  local: string,
  options: readonly string[],
): Promise<{ child: ChildProcess; endpoints: Endpoints; output(): string }> {
  const child = spawn(process.execPath, ["scripts/start.ts", ...options], {
    cwd: ROOT,
    env: { ...process.env, LOCAL_DIRECTORY: local },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const begun = Date.now();
  while (!output.includes("\nready\n")) {
    if (child.exitCode !== null || Date.now() - begun > READY_MS_MAX)
      throw new Error(`npm start did not become ready:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const file = join(local, "endpoints.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  return { child, endpoints: JSON.parse(readFileSync(file, "utf8")) as Endpoints, output: () => output };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const slow = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await gone;
  clearTimeout(slow);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it(
  "two fresh starts with the same time make the same history and the same models, byte for byte; and nothing outlives them",
  { timeout: 2 * (READY_MS_MAX + STOP_MS_MAX) },
  async () => {
    const sha256: string[][] = [];
    for (let round = 0; round < 2; round++) {
      const local = mkdtempSync(join(inject("localDirectory"), "start test "));
      const started = await start(local, ["--demo-now", "2026-06-01T12:00:00Z", "--port", String(PORT_FIRST)]);
      try {
        expect(started.output()).toContain("15 models");
        const { gateway, tokens } = started.endpoints;
        const ask = async <T>(path: string): Promise<T> =>
          (
            await fetch(gateway + path, { headers: { authorization: `Bearer ${tokens["viewer"]!}` } })
          ).json() as Promise<T>;
        const models = await ask<{ results: { model_name: string; sha256: string }[] }>(
          "/api/model-training/?current=true&order=asc",
        );
        const names = models.results.map(({ model_name: name, sha256: own }) => `${name} ${own}`).toSorted();
        expect(names).toHaveLength(15);
        expect(names.join()).toContain("calibration_model_Cooling_Tank_Pressure_13");
        sha256.push(names);
        const { readings, anomalies } = await ask<{ readings: { total: number }; anomalies: { open: number } }>(
          "/api/ml-analytics/",
        );
        expect(readings.total).toBe(7 * 30 * 24 * 60);
        expect(anomalies.open).toBeLessThan(4);
        const page = await (await fetch(gateway)).text();
        expect(page).toContain("<title>Calibration Platform</title>");
      } finally {
        await stop(started.child);
      }
      expect(Object.values(started.endpoints.pids).flat().filter(isRunning)).toEqual([]);
      expect(existsSync(join(local, "endpoints.json"))).toBe(false);
      rmSync(local, { recursive: true, force: true });
    }
    expect(sha256[1]).toEqual(sha256[0]);
  },
);
