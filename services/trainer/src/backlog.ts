/** What waits for a trainer, and what has waited too long: for the metrics. */
import type { Bus } from "@calibration/shared/bus.ts";
import type { Log } from "@calibration/shared/log.ts";
import type { createTrainingMetrics } from "@calibration/shared/metrics.ts";
import { MODEL_TYPES } from "@calibration/shared/model.ts";
import { regularly } from "@calibration/shared/regularly.ts";
import { streams } from "@calibration/shared/topology.ts";
import type pg from "pg";

const LOOK_MS = 15_000;
/** The schedule has this long to train what has become too old. */
const GRACE_DAYS = 1;

export function watchBacklog(parts: {
  pool: Pick<pg.Pool, "query">;
  bus: Pick<Bus, "manager">;
  log: Log;
  metrics: Pick<ReturnType<typeof createTrainingMetrics>, "overdue" | "queued">;
  maxAgeDays: number;
}): AsyncDisposable {
  const { pool, bus, metrics } = parts;
  const look = async (): Promise<void> => {
    const { state } = await bus.manager.streams.info(streams.training.name);
    metrics.queued.set(state.messages);
    const { rows } = await pool.query<{ model_type: string; overdue: number }>(
      `select model_type, count(*)::int as overdue from model_artifacts
        where current and trained_at < now() - make_interval(days => $1) group by 1`,
      [parts.maxAgeDays + GRACE_DAYS],
    );
    for (const type of MODEL_TYPES)
      metrics.overdue.set({ model_type: type }, rows.find((row) => row.model_type === type)?.overdue ?? 0);
  };
  return regularly(LOOK_MS, look, (error) => parts.log.warn({ error }, "the backlog could not be looked at"));
}
