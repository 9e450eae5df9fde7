/** Metrics, and the truth about whether a service can work: `/metrics`, `/healthz`, `/readyz` on a port of its own. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import type { Log } from "./log.ts";
import { createHealthMetrics, createRegistry } from "./metrics.ts";

export interface Health extends AsyncDisposable {
  registry: Registry;
  port: number;
  /** Names what is wrong, or null once it is right again. Unready, with a line in the log and a metric, while anything is named. */
  report(part: string, trouble: string | null): void;
  troubles(): Readonly<Record<string, string>>;
}

const START = "start";

export async function openHealth(options: {
  service: string;
  host: string;
  port: number;
  log: Pick<Log, "warn" | "info">;
}): Promise<Health> {
  const registry = createRegistry(options.service);
  const troubles = new Map<string, string>([[START, "still starting"]]);
  createHealthMetrics(registry, troubles);

  const server: Server = createServer((request, response) => {
    void (async () => {
      if (request.url === "/metrics") {
        response.setHeader("content-type", registry.contentType);
        response.end(await registry.metrics());
      } else if (request.url === "/healthz") {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ status: "alive" }));
      } else if (request.url === "/readyz") {
        response.statusCode = troubles.size === 0 ? 200 : 503;
        response.setHeader("content-type", "application/json");
        response.end(
          JSON.stringify({ status: troubles.size === 0 ? "ready" : "unready", troubles: Object.fromEntries(troubles) }),
        );
      } else {
        response.statusCode = 404;
        response.end();
      }
    })();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    registry,
    port: (server.address() as AddressInfo).port,
    report(part, trouble) {
      if (trouble === null) {
        if (troubles.delete(part) && part !== START) options.log.info({ part }, "it works again");
      } else {
        // The words may change while it lasts, as they do where they count the seconds; the log needs it once.
        if (!troubles.has(part)) options.log.warn({ part, trouble }, "it does not work");
        troubles.set(part, trouble);
      }
    },
    troubles: () => Object.fromEntries(troubles),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      registry.clear();
    },
  };
}
