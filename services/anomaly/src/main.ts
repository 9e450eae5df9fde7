/**
 * anomaly
 *   hears  READINGS: readings, ticks (absence), resolutions (a person closed an episode)
 *   says   events.anomaly.<site>.<key>
 *   keeps  anomalies, sensor_status, and its own state: anomaly_state, novelty_snapshots
 */
import { decodeArtifact } from "@calibration/models/artifact.ts";
import { createForestReader, heldBytes } from "@calibration/models/isolation-forest.ts";
import { createFacts } from "@calibration/shared/facts.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createModelCache } from "@calibration/shared/model-cache.ts";
import { openPlumbing, openStreamService } from "@calibration/shared/service.ts";
import { readConfig } from "./config.ts";
import { judgeReadings, keepJudged } from "./handler.ts";

/** About 400 KB each: those whose hour has just changed, or whose flags are explained. */
const FORESTS_OPEN_MAX = 64;

const config = readConfig(process.env);
const log = createLog("anomaly", config.logLevel);

await using plumbing = await openPlumbing("anomaly", config);
const { pool } = plumbing.database;
const readForest = createForestReader(FORESTS_OPEN_MAX);
await using models = createModelCache({
  type: "anomaly",
  pool,
  decode: (artifact) => readForest(decodeArtifact("anomaly", artifact)),
  bytesOf: heldBytes,
  megabytesMax: config.modelCacheMegabytes,
  log,
  registry: plumbing.health.registry,
});
const facts = createFacts(pool);
await using service = await openStreamService("anomaly", plumbing, log, {
  open: async (partition, position) =>
    judgeReadings({ partition, position, pool, facts, models, retentionDays: config.retentionDays }),
  keep: keepJudged,
});

const stopped = untilStopped();
log.info({ hears: service.hearing.hears, metricsPort: plumbing.health.port }, "ready");
log.info({ signal: await stopped }, "stopping");
