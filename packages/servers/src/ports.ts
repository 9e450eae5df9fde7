import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const TRIES_MAX = 200;
/** Two programs that look for a port at the same moment find the same one; the second then looks again. */
const STARTS_MAX = 5;
/** The end of a log, where the reason stands. */
const WORDS_MAX = 2_000;

/** Somebody else took the port between our look and the server's start. */
export class PortTaken extends Error {}

/** Starts a server on ports chosen anew for each try, as long as somebody else is quicker. */
export async function startOnFreePorts<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof PortTaken) || attempt === STARTS_MAX) throw error;
    }
  }
}

/** What a server that ended says in its log decides: another port, or an error to show. */
export function endedEarly(name: string, code: number, log: string): Error {
  const text = `${name} ended with code ${code}; its words are in ${log}`;
  const words = readFileSync(log, "utf8").slice(-WORDS_MAX);
  return /address already in use/i.test(words) ? new PortTaken(text) : new Error(text);
}

/** The preferred port of the loopback interface, or the next that is free. 0 takes any. */
export async function freePort(preferred: number): Promise<{ port: number; taken: boolean }> {
  for (let port = preferred; port < preferred + TRIES_MAX; port++) {
    const free = await tryPort(port);
    if (free !== null) return { port: free, taken: free !== preferred && preferred !== 0 };
  }
  throw new Error(`no port from ${preferred} to ${preferred + TRIES_MAX - 1} is free`);
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : null));
    });
  });
}
