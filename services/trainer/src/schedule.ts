/** What is due is asked for on a schedule, by whichever replica is first. */
import { ARTIFACT_FORMAT_VERSION } from "@calibration/models/artifact.ts";
import type { Bus } from "@calibration/shared/bus.ts";
import { inTransaction } from "@calibration/shared/database.ts";
import type { Log } from "@calibration/shared/log.ts";
import { findDue, requestTraining } from "@calibration/shared/training.ts";
import { Cron } from "croner";
import { randomUUID } from "node:crypto";
import type pg from "pg";

/** Replicas' clocks differ by less; within it the schedule's hour is one. */
const SAME_HOUR = "30 minutes";

export function openSchedule(parts: {
  /** Null: never. */
  pattern: string | null;
  maxAgeDays: number;
  pool: pg.Pool;
  bus: Pick<Bus, "jetstream">;
  log: Log;
}): Disposable {
  if (parts.pattern === null) return { [Symbol.dispose]: () => undefined };
  const job = new Cron(parts.pattern, { protect: true, unref: true, timezone: "UTC" }, () => check(parts));
  return { [Symbol.dispose]: () => job.stop() };
}

async function check({
  pool,
  bus,
  maxAgeDays,
  log,
}: {
  maxAgeDays: number;
  pool: pg.Pool;
  bus: Pick<Bus, "jetstream">;
  log: Log;
}): Promise<void> {
  try {
    const asked = await inTransaction(pool, async (client) => {
      const { rows } = await client.query<{ mine: boolean }>(
        "select pg_try_advisory_xact_lock(hashtext('training schedule')) as mine",
      );
      if (rows[0]?.mine !== true) return null;
      const recent = await client.query(
        `select 1 from training_jobs where trigger = 'schedule' and created_at > now() - interval '${SAME_HOUR}'`,
      );
      if (recent.rowCount !== 0) return null;
      const due = await findDue(client, {
        maxAgeDays,
        formatVersion: ARTIFACT_FORMAT_VERSION,
      });
      if (due.length === 0) return 0;
      const jobId = randomUUID();
      await client.query("insert into training_jobs (id, trigger, total) values ($1, 'schedule', $2)", [
        jobId,
        due.length,
      ]);
      await requestTraining(
        bus,
        due.map(({ sensorId, modelType, because }) => ({
          job_id: jobId,
          sensor_id: sensorId,
          model_type: modelType,
          trigger: "schedule",
          due_because: because,
        })),
      );
      return due.length;
    });
    if (asked !== null) log.info({ due: asked }, "asked for what is due");
  } catch (error) {
    log.warn({ error }, "what is due could not be found out");
  }
}
