/**
 * gateway
 *   hears  EVENTS, for GET /api/events/
 *   says   readings that were posted, resolutions, requests for training, events.sensor.<site>.<key>
 *   keeps  sensors, sensor_versions, calibrations, tokens, sessions, audit_log, training_jobs
 */
import { readingsStream } from "@calibration/shared/bus.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createPlantMetrics } from "@calibration/shared/metrics.ts";
import { watchOverdue } from "@calibration/shared/overdue.ts";
import { openPresence } from "@calibration/shared/presence.ts";
import { openPlumbing } from "@calibration/shared/service.ts";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createAuth, keepBootstrapTokens } from "./auth.ts";
import { readConfig } from "./config.ts";
import { watchPlant } from "./plant-watch.ts";
import { openRoll } from "./roll.ts";
import { createServer } from "./server.ts";
import { openStatusWatch } from "./status-watch.ts";

const config = readConfig(process.env);
const log = createLog("gateway", config.logLevel);

await using plumbing = await openPlumbing("gateway", config);
const { bus, database, health, stallMs } = plumbing;
const { pool } = database;
await keepBootstrapTokens(pool, config.bootstrapTokens);
const { partitions } = await readingsStream(bus);

await using _presence = await openPresence(bus, "gateway");
await using roll = openRoll(bus);

using writing = watchOverdue({
  part: "writes",
  stallMs,
  report: health.report,
  says: (seconds) => `a write has not been answered for ${seconds} s`,
});
const server = await createServer({
  pool,
  bus,
  auth: createAuth(pool),
  log,
  registry: health.registry,
  partitions,
  replicas: () => roll.replicas(),
  writing,
  retentionDays: config.retentionDays,
  requestsPerMinute: config.requestsPerMinute,
  tls:
    config.tlsCertificate === ""
      ? null
      : { cert: await readFile(config.tlsCertificate), key: await readFile(config.tlsKey) },
  // Whoever asks needs no token: what exactly is wrong stands in the log and at the metrics port.
  async troubles() {
    const wrong: Record<string, string> = { ...health.troubles() };
    await pool.query("select 1").catch(() => (wrong["postgresql"] = "does not answer"));
    await bus.connection.rtt().catch(() => (wrong["nats"] = "does not answer"));
    return wrong;
  },
});
await using stack = new AsyncDisposableStack();
stack.defer(() => server.close());
stack.use(openStatusWatch({ pool, bus, log }));
stack.use(watchPlant({ pool, bus, log, metrics: createPlantMetrics(health.registry) }));
await server.listen({ host: config.host, port: config.port });
health.report("start", null);

const { port } = server.server.address() as AddressInfo;
const stopped = untilStopped();
log.info(
  { listens: `${config.tlsCertificate === "" ? "http" : "https"}://${config.host}:${port}`, metricsPort: health.port },
  "ready",
);
log.info({ signal: await stopped }, "stopping");
