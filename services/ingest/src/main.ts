/**
 * ingest
 *   hears  READINGS
 *   says   dead.<site>.<key> for what could not be used, and a tick for each partition it owns
 *   keeps  readings, their rollups, each sensor's latest reading, dead letters
 */
import { createFacts } from "@calibration/shared/facts.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { openPlumbing, openStreamService } from "@calibration/shared/service.ts";
import { openMonths } from "@calibration/shared/time-partitions.ts";
import { readConfig } from "./config.ts";
import { gatherReadings, keepGathered } from "./handler.ts";
import { openTicking } from "./ticking.ts";

const config = readConfig(process.env);
const log = createLog("ingest", config.logLevel);

await using plumbing = await openPlumbing("ingest", config);
const { pool } = plumbing.database;
await using months = await openMonths({ pool, table: "readings", retentionDays: config.retentionDays, log });
const facts = createFacts(pool);
await using service = await openStreamService("ingest", plumbing, log, {
  open: async () => gatherReadings({ pool, facts, months, retentionDays: config.retentionDays }),
  keep: keepGathered,
});
await using _ticking = openTicking(plumbing.bus, service.hearing);

const stopped = untilStopped();
log.info({ hears: service.hearing.hears, metricsPort: plumbing.health.port }, "ready");
log.info({ signal: await stopped }, "stopping");
