import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { guarded } from "./guardian.ts";
import { natsConfig, type NatsUsers, type PlantUser } from "./nats-config.ts";

export interface RunningNats extends AsyncDisposable {
  url: string;
  monitorUrl: string;
  pid: number;
}

const START_MS_MAX = 60_000;

/** Starts nats-server on the loopback interface and returns when it answers. */
export async function startNatsServer(options: {
  binary: string;
  directory: string;
  port: number;
  monitorPort: number;
  users: NatsUsers;
  plants?: readonly PlantUser[];
}): Promise<RunningNats> {
  const { binary, directory, port, monitorPort } = options;
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "nats.conf");
  writeFileSync(file, natsConfig({ ...options, storeDirectory: join(directory, "jetstream") }), { mode: 0o600 });
  const log = openSync(join(directory, "nats.log"), "a");
  const child: ChildProcess = spawn(...guarded(binary, ["--config", file], "SIGTERM"), { stdio: ["pipe", log, log] });
  const monitorUrl = `http://127.0.0.1:${monitorPort}`;
  await untilAnswering(`${monitorUrl}/healthz`, child, join(directory, "nats.log"));
  const { pid } = (await (await fetch(`${monitorUrl}/varz`)).json()) as { pid?: number };
  return {
    url: `nats://127.0.0.1:${port}`,
    monitorUrl,
    pid: pid ?? child.pid!,
    [Symbol.asyncDispose]: () => ended(child),
  };
}

async function untilAnswering(url: string, child: ChildProcess, logFile: string): Promise<void> {
  const deadline = performance.now() + START_MS_MAX;
  while (performance.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`nats-server ended with code ${child.exitCode}; its words are in ${logFile}`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nats-server did not answer within ${START_MS_MAX / 1000} s; its words are in ${logFile}`);
}

/** Closes the pipe that keeps a guarded server alive, and waits until it is gone. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.stdin?.end();
  await gone;
}
