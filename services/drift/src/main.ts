/**
 * drift
 *   hears  READINGS
 *   says   events.drift.<site>.<key> when a level is crossed
 *   keeps  sensor_drift, hourly_means, drift_predictions
 */
import { decodeArtifact } from "@calibration/models/artifact.ts";
import { decodeDriftModel } from "@calibration/models/drift-model.ts";
import { createFacts } from "@calibration/shared/facts.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createModelCache } from "@calibration/shared/model-cache.ts";
import { openPlumbing, openStreamService } from "@calibration/shared/service.ts";
import { readConfig } from "./config.ts";
import { followDrift, keepFollowed } from "./handler.ts";

const config = readConfig(process.env);
const log = createLog("drift", config.logLevel);

await using plumbing = await openPlumbing("drift", config);
const { pool } = plumbing.database;
await using models = createModelCache({
  type: "drift",
  pool,
  decode: (artifact) => decodeDriftModel(decodeArtifact("drift", artifact)),
  megabytesMax: config.modelCacheMegabytes,
  log,
  registry: plumbing.health.registry,
});
const facts = createFacts(pool);
await using service = await openStreamService("drift", plumbing, log, {
  open: async () => followDrift({ pool, facts, models, retentionDays: config.retentionDays }),
  keep: keepFollowed,
});

const stopped = untilStopped();
log.info({ hears: service.hearing.hears, metricsPort: plumbing.health.port }, "ready");
log.info({ signal: await stopped }, "stopping");
