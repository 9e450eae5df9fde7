/** The six services as processes of their own, each with its log in `.local/log/`. */
import { once } from "node:events";
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { LOCAL, ROOT } from "./endpoints.ts";

const READY_MS_MAX = 240_000;
const STOP_MS_MAX = 12_000;
const AGAIN_MS = 1_000;

export interface StartedProcess extends AsyncDisposable {
  pid(): number;
  /** Calls back with the new process's number whenever it had to be started again. */
  onRestart(listener: (pid: number) => void): void;
}

/** Starts a program that says `ready` in its log, and starts it again when it ends by itself. */
export async function startProcess(options: {
  name: string;
  file: string;
  env: Record<string, string>;
  say: (text: string) => void;
  /** A terminal's signal reaches the programs as well as us: what ends then is not started again. */
  isStopping: () => boolean;
}): Promise<StartedProcess> {
  mkdirSync(`${LOCAL}/log`, { recursive: true });
  const log = createWriteStream(`${LOCAL}/log/${options.name}.log`);
  let stopping = false;
  let restarted: (pid: number) => void = () => undefined;
  let child = launch();
  await untilReady(child, options.name);
  watch();

  return {
    pid: () => child.pid!,
    onRestart: (listener) => void (restarted = listener),
    async [Symbol.asyncDispose]() {
      stopping = true;
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, "exit");
        child.kill("SIGTERM");
        const slow = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
        await gone;
        clearTimeout(slow);
      }
      log.end();
    },
  };

  function launch(): ChildProcess {
    // Our end of its standard input closes with us, however we end; that is its sign to stop.
    const started = spawn(process.execPath, [options.file], {
      cwd: ROOT,
      env: {
        PATH: process.env["PATH"] ?? "",
        NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? `${ROOT}.local/compile-cache`,
        STOP_WITH_PARENT: "1",
        ...options.env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    started.stdout.pipe(log, { end: false });
    started.stderr.pipe(log, { end: false });
    return started;
  }

  function watch(): void {
    child.once("exit", (code, signal) => {
      if (stopping || options.isStopping()) return;
      options.say(
        `${options.name} ended (${signal ?? code}); starting it again. Its log: .local/log/${options.name}.log`,
      );
      setTimeout(() => {
        if (stopping || options.isStopping()) return;
        child = launch();
        if (child.pid !== undefined) restarted(child.pid);
        watch();
      }, AGAIN_MS);
    });
  }
}

async function untilReady(child: ChildProcess, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let seen = "";
  const look = (chunk: Buffer): void => {
    seen = (seen + chunk.toString()).slice(-100_000);
    if (seen.includes('"message":"ready"')) resolve();
  };
  child.stdout!.on("data", look);
  child.stderr!.on("data", look);
  child.once("exit", (code) =>
    reject(new Error(`${name} ended with code ${code} before it was ready:\n${seen.slice(-2000)}`)),
  );
  const late = setTimeout(
    () => reject(new Error(`${name} was not ready within ${READY_MS_MAX / 1000} s; its log is .local/log/${name}.log`)),
    READY_MS_MAX,
  );
  await promise.finally(() => {
    clearTimeout(late);
    child.stdout!.off("data", look);
    child.stderr!.off("data", look);
  });
}
