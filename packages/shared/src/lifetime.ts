/** Resolves with the signal that asks this process to stop, or when the process that started it is gone. */
export async function untilStopped(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve(signal));
  // A supervisor holds our standard input open for as long as it lives: its end is our end, even after a SIGKILL.
  if (process.env["STOP_WITH_PARENT"] === "1") {
    process.stdin.on("end", () => resolve("parent gone"));
    process.stdin.on("error", () => resolve("parent gone"));
    process.stdin.resume();
  }
  const reason = await promise;
  // Standard input would keep the process alive after its work is done; what else would may not do so for ever.
  process.stdin.destroy();
  setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
  return reason;
}

const STOP_MS_MAX = 15_000;
