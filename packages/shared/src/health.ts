/** Metrics, and the truth about whether a service can work: `/metrics`, `/healthz`, `/readyz` on a port of its own. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

export interface Health extends AsyncDisposable {
  registry: Registry;
  port: number;
  /** Names what is wrong, or null once it is right again. Unready while anything is named. */
  report(part: string, trouble: string | null): void;
  troubles(): Readonly<Record<string, string>>;
}

export async function openHealth(options: { service: string; host: string; port: number }): Promise<Health> {
  const registry = new Registry();
  registry.setDefaultLabels({ service: options.service });
  collectDefaultMetrics({ register: registry });
  const troubles = new Map<string, string>([["start", "still starting"]]);

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
      if (trouble === null) troubles.delete(part);
      else troubles.set(part, trouble);
    },
    troubles: () => Object.fromEntries(troubles),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      registry.clear();
    },
  };
}

/** What every stream service measures. */
export function createStreamMetrics(registry: Registry) {
  const registers = [registry];
  return {
    batches: new Counter({ name: "calibration_batches_total", help: "Batches kept", registers }),
    messages: new Counter({ name: "calibration_messages_total", help: "Messages of the stream taken in", registers }),
    batchSeconds: new Histogram({
      name: "calibration_batch_seconds",
      help: "From the first message of a batch to its commit",
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    }),
    batchSize: new Histogram({
      name: "calibration_batch_messages",
      help: "Messages in a batch",
      buckets: [1, 3, 10, 30, 100, 300, 1000],
      registers,
    }),
    lag: new Gauge({
      name: "calibration_partition_lag_messages",
      help: "Messages of the partition not yet kept",
      labelNames: ["partition"],
      registers,
    }),
    lost: new Counter({
      name: "calibration_positions_expired_total",
      help: "Take-overs that found the stream's oldest message younger than the position: readings may have been missed",
      registers,
    }),
    counted: new Counter({
      name: "calibration_facts_total",
      help: "What the batches came to",
      labelNames: ["what"],
      registers,
    }),
  };
}

export type StreamMetrics = ReturnType<typeof createStreamMetrics>;
