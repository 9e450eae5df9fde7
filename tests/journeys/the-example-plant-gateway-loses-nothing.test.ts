/**
 *   KEY VALUE ──▶ examples/plant-gateway ──spool──▶ (NATS away, killed, started again) ──readings.main.<key>──▶ readings
 */
import { freePort } from "@calibration/servers/ports.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";

const MAIN = fileURLToPath(new URL("../../examples/plant-gateway/main.ts", import.meta.url));

function startGateway(natsUrl: string, password: string, spool: string): ChildProcess {
  return spawn(process.execPath, [MAIN], {
    stdio: ["pipe", "ignore", "inherit"],
    env: { PATH: process.env["PATH"] ?? "", NATS_URL: natsUrl, NATS_PASSWORD: password, SPOOL: spool },
  });
}

it("what was measured while the platform was away is kept once, with its time, by the gateway that comes after", async () => {
  await using stack = new AsyncDisposableStack();
  const plant = stack.use(await openPlant({ services: ["ingest"] }));
  await plant.aSensor({ id: 7, key: "boiler-1" });
  await plant.aSensor({ id: 8 });
  const directory = mkdtempSync(join(inject("localDirectory"), "plant-gateway-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const spool = join(directory, "spool.ndjson");
  const spooled = () => (existsSync(spool) ? readFileSync(spool, "utf8").trim().split("\n").filter(Boolean) : []);
  const begunMs = Date.now();

  const { port } = await freePort(20_000);
  const cutOff = startGateway(`nats://127.0.0.1:${port}`, plant.nats.users.plant, spool);
  stack.defer(() => void cutOff.kill("SIGKILL"));
  cutOff.stdin!.write("boiler-1 72.5\nnot a reading\n8 1.25\nboiler-1 73\n");
  await expect.poll(() => spooled().length, { timeout: WAIT_MS }).toBe(3);
  cutOff.kill("SIGKILL");
  const measuredBy = Date.now();

  const after = startGateway(plant.nats.url, plant.nats.users.plant, spool);
  stack.defer(() => void after.kill("SIGKILL"));
  after.stdin!.end("8 1.5\n");
  const kept = () =>
    plant.rows<{ sensor_id: number; raw_value: number }>(
      "select sensor_id, raw_value from readings order by sensor_id, timestamp, raw_value",
    );
  await expect.poll(kept, { timeout: WAIT_MS }).toEqual([
    { sensor_id: 7, raw_value: 72.5 },
    { sensor_id: 7, raw_value: 73 },
    { sensor_id: 8, raw_value: 1.25 },
    { sensor_id: 8, raw_value: 1.5 },
  ]);
  await expect.poll(() => after.exitCode, { timeout: WAIT_MS }).toBe(0);
  expect(spooled()).toEqual([]);
  const times = await plant.rows<{ timestamp: Date }>("select timestamp from readings where raw_value <> 1.5");
  for (const { timestamp } of times) {
    expect(timestamp.getTime()).toBeGreaterThanOrEqual(begunMs);
    expect(timestamp.getTime()).toBeLessThanOrEqual(measuredBy);
  }
});

it("the README's plant gateway works as it is printed", async () => {
  await using stack = new AsyncDisposableStack();
  const plant = stack.use(await openPlant({ services: ["ingest"] }));
  await plant.aSensor({ id: 17 });
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const printed = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const gateway = spawn(process.execPath, ["--input-type=module", "--eval", printed], {
    // Where its imports are found.
    cwd: fileURLToPath(new URL("../../examples/plant-gateway", import.meta.url)),
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: process.env["PATH"] ?? "", NATS_URL: plant.nats.url, NATS_PASSWORD: plant.nats.users.plant },
  });
  stack.defer(() => void gateway.kill("SIGKILL"));
  await expect
    .poll(async () => (await plant.rows("select 1 from readings where sensor_id = 17 limit 2")).length, {
      timeout: WAIT_MS,
    })
    .toBe(2);
});
