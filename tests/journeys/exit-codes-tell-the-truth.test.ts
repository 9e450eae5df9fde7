/**
 *   a service that cannot begin ──▶ ends with 1, and every reason in one sentence      asked to stop ──▶ ends with 0
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { openPlant, type ServiceName } from "../support/plant.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SERVICES: readonly ServiceName[] = ["ingest", "anomaly", "drift", "calibration", "trainer", "gateway"];

async function runToEnd(name: ServiceName, env: Record<string, string>): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "", STOP_WITH_PARENT: "1", ...env },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  return { code, output };
}

it("wrong settings end a service with 1, all of them named; what is told of them holds no secret", async () => {
  for (const name of SERVICES) {
    const { code, output } = await runToEnd(name, {
      STALL_SECONDS: "soon",
      METRICS_PORT: "-1",
      LOG_LEVEL: "loud",
      NATS_PASSWORD: "the password",
    });
    expect([name, code]).toEqual([name, 1]);
    for (const setting of ["NATS_URL", "DATABASE_URL", "STALL_SECONDS", "METRICS_PORT", "LOG_LEVEL"])
      expect(output).toContain(setting);
    expect(output).not.toContain("the password");
  }
});

it("a wrong password ends a service with 1, and is not told; a service that is asked to stop ends with 0", async () => {
  await using plant = await openPlant();
  const known = {
    NATS_URL: plant.nats.url,
    NATS_USER: "ingest",
    NATS_PASSWORD: plant.nats.users.ingest,
    DATABASE_URL: plant.databaseUrlOf("ingest"),
  };
  const wrongUrl = new URL(known.DATABASE_URL);
  wrongUrl.password = "a wrong password";
  for (const wrong of [{ DATABASE_URL: wrongUrl.href }, { NATS_PASSWORD: "a wrong password" }]) {
    const { code, output } = await runToEnd("ingest", { ...known, ...wrong });
    expect([Object.keys(wrong), code]).toEqual([Object.keys(wrong), 1]);
    expect(output).toMatch(/authenti|authoriz/i);
    expect(output).not.toMatch(/a wrong password|a%20wrong%20password/);
  }
  for (const name of SERVICES) {
    const service = await plant.start(name, name === "gateway" ? { PORT: "0" } : {});
    await service.kill("SIGTERM");
    expect([name, service.process.exitCode]).toEqual([name, 0]);
  }
});
