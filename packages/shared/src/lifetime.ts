/** How long a process lives: until a signal asks it to stop, or the process that started it is gone. */

const STOP_MS_MAX = 15_000;

/** What the parent's end means: to a process that is still starting, the end at once. */
let parentGone = (): void => process.exit(1);
let isWatching = false;

/**
 * Ends with the parent, also while servers that never come are still waited for. A supervisor holds our standard input
 * open for as long as it lives: its end is our end, even after a SIGKILL.
 */
export function endWithParent(): void {
  if (isWatching || process.env["STOP_WITH_PARENT"] !== "1") return;
  isWatching = true;
  process.stdin.on("end", () => parentGone());
  process.stdin.on("error", () => parentGone());
  process.stdin.resume();
}

/**
 * Resolves with the signal that asks this process to stop, or when the process that started it is gone. Asked for before the
 * process calls itself ready: whoever has read that may stop it.
 */
export async function untilStopped(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve(signal));
  parentGone = () => resolve("parent gone");
  endWithParent();
  const reason = await promise;
  // Standard input would keep the process alive after its work is done; what else would may not do so for ever.
  process.stdin.destroy();
  setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
  return reason;
}
