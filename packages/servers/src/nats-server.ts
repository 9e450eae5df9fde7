import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { guarded } from "./guardian.ts";
import { natsConfig, type NatsUsers, type PlantUser, type ServerTls } from "./nats-config.ts";
import { endedEarly } from "./ports.ts";

export interface RunningNats extends AsyncDisposable {
  url: string;
  monitorUrl: string;
  pid: number;
}

const START_MS_MAX = 180_000;
const LOOK_MS = 50;

/** Starts nats-server on the loopback interface and returns when it answers. Throws `PortTaken` where another holds its port. */
export async function startNatsServer(options: {
  binary: string;
  directory: string;
  port: number;
  monitorPort: number;
  users: NatsUsers;
  plants?: readonly PlantUser[];
  tls?: ServerTls;
  syncAlways?: boolean;
}): Promise<RunningNats> {
  const { binary, directory, port, monitorPort } = options;
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "nats.conf");
  const serverName = randomUUID();
  const storeDirectory = join(directory, "jetstream");
  writeFileSync(file, natsConfig({ ...options, serverName, storeDirectory }), { mode: 0o600 });
  const log = openSync(join(directory, "nats.log"), "a");
  const pidFile = join(directory, "nats.pid");
  const child: ChildProcess = spawn(...guarded(binary, ["--config", file, "--pid", pidFile], "SIGTERM"), {
    stdio: ["pipe", log, log],
  });
  const monitorUrl = `http://127.0.0.1:${monitorPort}`;
  await untilAnswering({ monitorUrl, serverName, child, log: join(directory, "nats.log") });
  return {
    url: `${options.tls === undefined ? "nats" : "tls"}://127.0.0.1:${port}`,
    monitorUrl,
    // The server's own: the child is the guardian.
    pid: Number(readFileSync(pidFile, "utf8")),
    [Symbol.asyncDispose]: () => ended(child),
  };
}

/** Until our own server answers: on the same port another may, and would take our clients for strangers. */
async function untilAnswering(parts: {
  monitorUrl: string;
  serverName: string;
  child: ChildProcess;
  log: string;
}): Promise<void> {
  const { monitorUrl, serverName, child, log } = parts;
  const deadline = performance.now() + START_MS_MAX;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw endedEarly("nats-server", child.exitCode, log);
    const healthy = await fetch(`${monitorUrl}/healthz`).catch(() => null);
    if (healthy?.ok === true) {
      const about = await fetch(`${monitorUrl}/varz`);
      if (((await about.json()) as { server_name?: string }).server_name === serverName) return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`nats-server did not answer within ${START_MS_MAX / 1000} s; its words are in ${log}`);
}

/** Closes the pipe that keeps a guarded server alive, and waits until it is gone. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.stdin?.end();
  await gone;
}
