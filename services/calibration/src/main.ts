/**
 * calibration
 *   hears  READINGS
 *   says   corrected.<site>.<key>
 *   keeps  corrected_readings, corrected_per_hour, and its own state: correction_state
 */
import { decodeArtifact } from "@calibration/models/artifact.ts";
import { decodeCalibrationModel } from "@calibration/models/calibration-fit.ts";
import { createFacts } from "@calibration/shared/facts.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createModelCache } from "@calibration/shared/model-cache.ts";
import { openPlumbing, openStreamService } from "@calibration/shared/service.ts";
import { openMonths } from "@calibration/shared/time-partitions.ts";
import { readConfig } from "./config.ts";
import { correctReadings, keepCorrections } from "./handler.ts";

const config = readConfig(process.env);
const log = createLog("calibration", config.logLevel);

await using plumbing = await openPlumbing("calibration", config);
const { pool } = plumbing.database;
await using models = createModelCache({
  type: "calibration",
  pool,
  decode: (artifact) => decodeCalibrationModel(decodeArtifact("calibration", artifact)),
  megabytesMax: config.modelCacheMegabytes,
  log,
  registry: plumbing.health.registry,
});
await using months = await openMonths({ pool, table: "corrected_readings", retentionDays: config.retentionDays, log });
const facts = createFacts(pool);
await using service = await openStreamService("calibration", plumbing, log, {
  open: async () => correctReadings({ pool, facts, months, models, retentionDays: config.retentionDays }),
  keep: keepCorrections,
});

const stopped = untilStopped();
log.info({ hears: service.hearing.hears, metricsPort: plumbing.health.port }, "ready");
log.info({ signal: await stopped }, "stopping");
