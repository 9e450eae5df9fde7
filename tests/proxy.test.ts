import { once } from "node:events";
import { createConnection, createServer, type AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { openProxy } from "./support/proxy.ts";

it("a line that has lost a piece brings nothing that came after it", async () => {
  let received = "";
  const ends: Promise<unknown>[] = [];
  const server = createServer((socket) => {
    socket.on("data", (chunk) => (received += chunk.toString()));
    ends.push(once(socket, "close"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  await using proxy = await openProxy({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  const line = createConnection(proxy.port, "127.0.0.1").setNoDelay(true);
  await once(line, "connect");
  line.write("before;");
  await expect.poll(() => received).toBe("before;");

  const struck = Promise.withResolvers<void>();
  proxy.setTrap({ direction: "up", bytes: "begin;", passes: false, strike: struck.resolve });
  line.write("begin;");
  await struck.promise;
  line.write("insert;");
  // Another line, which is whole, shows that there was time enough.
  const other = createConnection(proxy.port, "127.0.0.1");
  await pause(50);
  other.end("other;");
  await expect.poll(() => received).toContain("other;");
  line.end();
  await Promise.all(ends);
  expect(received).toBe("before;other;");
  server.close();
});
