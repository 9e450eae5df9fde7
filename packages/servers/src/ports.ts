import { createServer } from "node:net";

const TRIES_MAX = 200;

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
