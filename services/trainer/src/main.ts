/**
 * trainer
 *   hears  TRAINING: requests for one model of one sensor, shared with the other replicas
 *   says   events.model.<type>.<sensor id>: trained, promoted
 *   keeps  model_artifacts, model_promotions, training_runs
 */
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createTrainingMetrics } from "@calibration/shared/metrics.ts";
import { watchOverdue } from "@calibration/shared/overdue.ts";
import { openPresence } from "@calibration/shared/presence.ts";
import { openPlumbing } from "@calibration/shared/service.ts";
import { watchBacklog } from "./backlog.ts";
import { readConfig } from "./config.ts";
import { openFitting } from "./fitting.ts";
import { answerTraining } from "./handler.ts";
import { openTraining } from "./queue.ts";
import { openSchedule } from "./schedule.ts";

const config = readConfig(process.env);
const log = createLog("trainer", config.logLevel);

await using plumbing = await openPlumbing("trainer", config);
const { bus, database, health, stallMs } = plumbing;
const { report } = health;
const metrics = createTrainingMetrics(health.registry);
await using fitting = openFitting(config.threads);
using keeping = watchOverdue({
  part: "outcomes",
  stallMs,
  report,
  says: (seconds) => `an outcome has not been kept for ${seconds} s`,
});
const answer = answerTraining({ pool: database.pool, bus, fitting, log, keeping });

await using training = await openTraining(
  { bus, log, atOnce: config.threads, stallMs, report },
  async (request, givenUp) => {
    const end = metrics.duration.startTimer({ model_type: request.model_type });
    const outcome = await answer(request, givenUp);
    end();
    if (outcome !== "answered before") metrics.runs.inc({ model_type: request.model_type, outcome });
  },
);
await using _backlog = watchBacklog({ pool: database.pool, bus, log, metrics, maxAgeDays: config.maxAgeDays });
using _schedule = openSchedule({
  pattern: config.schedule,
  maxAgeDays: config.maxAgeDays,
  pool: database.pool,
  bus,
  log,
});
// Trainers share a queue and need not know of each other; who looks at the system wants to know how many there are.
await using _presence = await openPresence(bus, "trainer");
health.report("start", null);

const stopped = untilStopped();
log.info({ hears: training.hears, metricsPort: health.port }, "ready");
log.info({ signal: await stopped }, "stopping");
