/** A TCP proxy between a service and its server: it cuts the line, and strikes at moments that only the wire shows. */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** `up` goes to the server, `down` comes from it. */
export type Direction = "up" | "down";

export interface Trap {
  direction: Direction;
  /** Bytes that the moment is known by; a message of the two protocols that is short enough to come in one piece. */
  bytes: string;
  /** Whether what was seen goes on to its receiver. Where it does not, nothing that follows it on this connection does: TCP has no holes. */
  passes: boolean;
  /** Springs whenever the moment comes, and not only once. */
  stays?: boolean;
  strike(): void;
}

export interface Proxy extends AsyncDisposable {
  port: number;
  /** Breaks what is open and takes nothing new, until `mend`. */
  cut(): void;
  mend(): void;
  /** Springs once, unless it stays; the one set before is forgotten. Null sets none. */
  setTrap(trap: Trap | null): void;
}

export async function openProxy(target: { host: string; port: number }): Promise<Proxy> {
  const open = new Set<Socket>();
  let isCut = false;
  let trap: Trap | null = null;

  const server: Server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = createConnection(target);
    for (const [from, to, direction] of [
      [client, upstream, "up"],
      [upstream, client, "down"],
    ] as const) {
      let isLost = false;
      open.add(from);
      from.setNoDelay(true);
      from.on("error", () => undefined);
      from.on("data", (chunk: Buffer) => {
        if (isLost) return;
        const sprung = trap?.direction === direction && chunk.includes(trap.bytes, 0, "latin1") ? trap : null;
        if (sprung !== null && sprung.stays !== true) trap = null;
        isLost = sprung !== null && !sprung.passes;
        if (!isLost && !to.write(chunk)) from.pause();
        sprung?.strike();
      });
      to.on("drain", () => from.resume());
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      for (const socket of open) socket.destroy();
    },
    mend: () => void (isCut = false),
    setTrap: (next) => void (trap = next),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
