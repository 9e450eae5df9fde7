/**
 * Runs a server for as long as the standard input stays open: `guardian.mjs SIGNAL COMMAND [ARG …]`. The one who started
 * us holds the other end of the pipe, and the kernel closes it for him even when he is killed.
 */
import { spawn } from "node:child_process";

const STOP_MS_MAX = 10_000;

const [signal, command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });

let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  child.kill(signal);
  setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX).unref();
};

process.stdin.on("end", stop);
process.stdin.on("error", stop);
process.stdin.resume();
// A terminal sends its signals to everyone in the foreground; the order of stopping is for the one above to decide.
for (const ignored of ["SIGINT", "SIGHUP"]) process.on(ignored, () => undefined);
process.on("SIGTERM", stop);
child.on("error", (error) => {
  console.error(`${command}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, endedBy) => process.exit(code ?? (endedBy === null ? 1 : 0)));
