/** `npm start` as a child process in a directory of its own, from its first line to the end of everything it started. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject } from "vitest";

export interface Endpoints {
  gateway: string;
  nats: string;
  tokens: Record<string, string>;
  nats_users: Record<string, { user: string; password: string }>;
  pids: Record<string, number[]>;
}

export interface Started extends AsyncDisposable {
  endpoints: Endpoints;
  /** Where it keeps what `.local/` holds otherwise. */
  local: string;
  output(): string;
  /** GETs as the viewer. */
  ask<T>(path: string): Promise<T>;
  /** Ends it as a supervisor does, and makes sure that nothing outlives it. */
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** The demo's history and fifteen trainings, on a starved machine. */
export const START_MS_MAX = 30 * 60_000;
const STOP_MS_MAX = 120_000;
const GONE_MS_MAX = 60_000;
const LOOK_MS = 100;

/** Starts the platform and waits until it says `ready`. Disposing stops it and removes what it kept. */
export async function openStarted(options: readonly string[]): Promise<Started> {
  const local = mkdtempSync(join(inject("localDirectory"), "start test "));
  const child = spawn(process.execPath, ["scripts/start.ts", ...options], {
    cwd: ROOT,
    // It counts from its own first line, not from that of the run.
    env: { ...process.env, LOCAL_DIRECTORY: local, COMMAND_BEGUN_MS: String(Date.now()) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const begun = Date.now();
  while (!output.includes("\nready\n")) {
    if (child.exitCode !== null || Date.now() - begun > START_MS_MAX) {
      await end(child);
      rmSync(local, { recursive: true, force: true });
      throw new Error(`npm start did not become ready:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const endpoints = JSON.parse(readFileSync(join(local, "endpoints.json"), "utf8")) as Endpoints;
  return {
    endpoints,
    local,
    output: () => output,
    async ask<T>(path: string) {
      const headers = { authorization: `Bearer ${endpoints.tokens["viewer"]!}` };
      return (await fetch(endpoints.gateway + path, { headers })).json() as Promise<T>;
    },
    async stop() {
      await end(child);
      await expect
        .poll(() => Object.values(endpoints.pids).flat().filter(isRunning), { timeout: GONE_MS_MAX })
        .toEqual([]);
      expect(existsSync(join(local, "endpoints.json"))).toBe(false);
    },
    async [Symbol.asyncDispose]() {
      await end(child);
      rmSync(local, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
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
