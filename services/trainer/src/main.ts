/**
 * trainer
 *   hears  TRAINING: requests for one model of one sensor, shared with the other replicas
 *   says   events.model.<type>.<sensor id>: trained, promoted
 *   keeps  model_artifacts, model_promotions, training_runs
 */
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { openPlumbing } from "@calibration/shared/service.ts";
import { Counter, Histogram } from "prom-client";
import { readConfig } from "./config.ts";
import { answerTraining } from "./handler.ts";
import { openTraining } from "./queue.ts";
import { openSchedule } from "./schedule.ts";

const config = readConfig(process.env);
const log = createLog("trainer", config.logLevel);

await using plumbing = await openPlumbing("trainer", config);
const { bus, database, health } = plumbing;
const registers = [health.registry];
const runs = new Counter({
  name: "training_runs_total",
  help: "Requests for training, by outcome",
  labelNames: ["model_type", "status"],
  registers,
});
const duration = new Histogram({
  name: "training_duration_seconds",
  help: "How long one training took",
  labelNames: ["model_type"],
  buckets: [0.05, 0.2, 1, 5, 20, 60],
  registers,
});
const answer = answerTraining({ pool: database.pool, bus, log });

await using training = await openTraining(bus, log, async (request) => {
  const end = duration.startTimer({ model_type: request.model_type });
  const status = await answer(request);
  runs.inc({ model_type: request.model_type, status });
  end();
});
using _schedule = openSchedule({
  pattern: config.schedule,
  maxAgeDays: config.maxAgeDays,
  pool: database.pool,
  bus,
  log,
});
health.report("start", null);

log.info({ hears: training.hears }, "ready");
log.info({ signal: await untilStopped() }, "stopping");
