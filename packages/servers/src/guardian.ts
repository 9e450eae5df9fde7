import { fileURLToPath } from "node:url";

const GUARDIAN = fileURLToPath(new URL("guardian.mjs", import.meta.url));

/** The command line of a server that may not outlive us: a guardian starts it, and ends it when our pipe closes. */
export function guarded(command: string, args: readonly string[], signal: NodeJS.Signals): [string, string[]] {
  return [process.execPath, [GUARDIAN, signal, command, ...args]];
}
