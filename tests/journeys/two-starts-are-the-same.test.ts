/**
 *   npm start ──▶ NATS, PostgreSQL, six services, demo plant ──▶ ready, 15 models ──SIGTERM──▶ nothing is left
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openStarted, START_MS_MAX } from "../support/start.ts";
import { needsSpareTime } from "../support/time.ts";

const OPTIONS = ["--demo-now", "2026-06-01T12:00:00Z", "--port", "18100"];
const HISTORY_READINGS = 7 * 30 * 24 * 60;
const TEST_MS_MAX = START_MS_MAX + 5 * 60_000;

/** Each current model's name with its artifact's checksum. */
let first: string[] = [];

async function startOnce(): Promise<string[]> {
  await using started = await openStarted(OPTIONS);
  expect(started.output()).toContain("15 models");
  expect(statSync(join(started.local, "endpoints.json")).mode & 0o777).toBe(0o600);
  const { results } = await started.ask<{ results: { model_name: string; sha256: string }[] }>(
    "/api/model-training/?current=true&order=asc",
  );
  const { readings, anomalies } = await started.ask<{ readings: { total: number }; anomalies: { open: number } }>(
    "/api/ml-analytics/",
  );
  expect(readings.total).toBe(HISTORY_READINGS);
  expect(anomalies.open).toBeLessThan(4);
  expect(await (await fetch(started.endpoints.gateway)).text()).toContain("<title>Calibration Platform</title>");
  await started.stop();
  return results.map(({ model_name: name, sha256 }) => `${name} ${sha256}`).toSorted();
}

it(
  "one command makes the demo plant and its fifteen models, and nothing outlives it",
  { timeout: TEST_MS_MAX },
  async () => {
    first = await startOnce();
    expect(first).toHaveLength(15);
    expect(first.join()).toContain("calibration_model_Cooling_Tank_Pressure_13");
  },
);

it(
  "a second fresh start with the same time makes the same models, byte for byte",
  { timeout: TEST_MS_MAX },
  async (context) => {
    needsSpareTime(context);
    expect(await startOnce()).toEqual(first);
  },
);
