/** Asking for training by the work queue, and waiting for the outcomes: needs NATS and PostgreSQL, as the services do. */
import type { ModelType } from "@calibration/shared/model.ts";
import { requestTraining, type DueModel, type TrainingTrigger } from "@calibration/shared/training.ts";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { NOT_RUNNING, reach, readEndpoints } from "./endpoints.ts";
import { openBusOrEnd, openDatabaseOrEnd } from "./open.ts";

export const MODEL_CHOICES = ["anomaly", "drift", "calibration", "all"] as const;
const LOOK_AGAIN_MS = 200;
/** Without any answer for so long, no trainer is running. */
const SILENCE_MS_MAX = 5 * 60_000;

export interface TrainingOutcome {
  sensor_id: number;
  model_type: ModelType;
  status: "trained" | "insufficient_data" | "failed";
  error: string | null;
  version: number | null;
  samples: number | null;
}

export interface TrainingClient extends AsyncDisposable {
  pool: pg.Pool;
  /** The sensor where it exists, or all of them. */
  sensorIds(only: number | null): Promise<number[]>;
  train(
    models: readonly (Omit<DueModel, "because"> & { because: string | null })[],
    trigger: TrainingTrigger,
    tell: (outcome: TrainingOutcome) => void,
  ): Promise<TrainingOutcome[]>;
}

export async function openTrainingClient(env: NodeJS.ProcessEnv = process.env): Promise<TrainingClient> {
  const { natsUrl, databaseUrl } = reach(env);
  if (natsUrl === null || databaseUrl === null) {
    console.error(NOT_RUNNING);
    process.exit(1);
  }
  const admin = readEndpoints()?.nats_users["admin"];
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await openDatabaseOrEnd(databaseUrl));
  const bus = stack.use(
    await openBusOrEnd({
      natsUrl,
      natsUser: env["NATS_USER"] ?? admin?.user ?? "",
      natsPassword: env["NATS_PASSWORD"] ?? admin?.password ?? "",
      name: "cli",
    }),
  );
  const { pool } = database;
  const opened = stack.move();
  return {
    pool,
    async sensorIds(only) {
      return (
        await pool.query<{ id: number }>("select id from sensors where $1::int8 is null or id = $1::int8 order by id", [
          only,
        ])
      ).rows.map(({ id }) => id);
    },
    async train(models, trigger, tell) {
      if (models.length === 0) return [];
      const jobId = randomUUID();
      await pool.query("insert into training_jobs (id, trigger, total) values ($1, $2, $3)", [
        jobId,
        trigger,
        models.length,
      ]);
      await requestTraining(
        bus,
        models.map(({ sensorId, modelType, because }) => ({
          job_id: jobId,
          sensor_id: sensorId,
          model_type: modelType,
          trigger,
          due_because: because,
        })),
      );
      const told: TrainingOutcome[] = [];
      for (let heardMs = Date.now(); told.length < models.length; await pause(LOOK_AGAIN_MS)) {
        const { rows } = await pool.query<TrainingOutcome>(
          `select r.sensor_id, r.model_type, r.status, r.error, m.version, m.samples from training_runs r left join model_artifacts m on m.id = r.model_id
            where r.job_id = $1 order by r.id offset $2`,
          [jobId, told.length],
        );
        for (const outcome of rows) tell(outcome);
        told.push(...rows);
        if (rows.length > 0) heardMs = Date.now();
        else if (Date.now() - heardMs > SILENCE_MS_MAX)
          throw new Error(`no trainer has answered for ${SILENCE_MS_MAX / 60_000} minutes; is one running?`);
      }
      return told;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export function printOutcome({
  sensor_id: id,
  model_type: type,
  status,
  error,
  version,
  samples,
}: TrainingOutcome): void {
  console.log(
    `sensor ${id} ${type}: ${status === "trained" ? `trained, version ${version}, on ${samples} samples` : `${status === "failed" ? "Training failed" : "not trained"}: ${error}`}`,
  );
}
