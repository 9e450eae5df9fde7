/** Models a second, with one trainer and with two. */
import { requestTraining, type TrainingRequest } from "@calibration/shared/training.ts";
import { randomUUID } from "node:crypto";
import { inTurns, type Figure } from "./figure.ts";
import type { Servers, Site } from "./site.ts";

const READINGS = 10_000;
/** Models a replica fits before it is measured: a process that has just started is slow. */
const WARMING = 4;
const LOOK_MS = 20;
const DONE_MS_MAX = 900_000;

export async function trainingFigures(servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> {
  const sensors = quick ? 24 : 1000;
  await using site = await servers.openSite(sensors);
  const { pool } = site.database;
  await pool.query(
    `insert into readings select s, t, 20 + 5 * sin(extract(epoch from t) / 86400 * 6.283) + random(), 0, 1, t
       from generate_series(1, $1::int) s, generate_series(now() - interval '1 minute' * $2::int, now() - interval '1 minute', '1 minute') t`,
    [sensors, READINGS],
  );
  await pool.query("vacuum analyze readings");
  return [
    await inTurns({
      name: `trainer: ${sensors} sensors × ${READINGS} readings, 2 replicas`,
      reference: "1 replica",
      unit: "models/s",
      bound: { kind: "at least", ratio: 1.6 },
      rounds: Math.min(rounds, 3),
      ours: () => rateOfTrainers(site, 2),
      theirs: () => rateOfTrainers(site, 1),
    }),
  ];
}

async function rateOfTrainers(site: Site, replicas: number): Promise<number> {
  const { pool } = site.database;
  for (const table of ["model_artifacts", "model_promotions", "training_runs"]) await pool.query(`truncate ${table}`);
  const trainers = await Promise.all(
    Array.from({ length: replicas }, () => site.start("trainer", { env: { TRAINER_SCHEDULE: "never" } })),
  );
  await secondsOf(
    site,
    Array.from({ length: WARMING * replicas }, (_, i) => (i % site.sensors) + 1),
  );
  const sensors = Array.from({ length: site.sensors }, (_, i) => i + 1);
  const rate = sensors.length / (await secondsOf(site, sensors));
  for (const trainer of trainers) await trainer[Symbol.asyncDispose]();
  return rate;
}

/** Until each has been trained. */
async function secondsOf(site: Site, sensors: readonly number[]): Promise<number> {
  const job = randomUUID();
  const begun = performance.now();
  await requestTraining(
    site.bus,
    sensors.map((sensor): TrainingRequest => ({
      job_id: job,
      sensor_id: sensor,
      model_type: "anomaly",
      trigger: "cli",
      due_because: null,
    })),
  );
  for (;;) {
    const { rows } = await site.database.pool.query<{ done: number; trained: number }>(
      "select count(*)::int as done, (count(*) filter (where status = 'trained'))::int as trained from training_runs where job_id = $1",
      [job],
    );
    const [{ done, trained }] = rows as [{ done: number; trained: number }];
    if (done === new Set(sensors).size) {
      if (trained !== done) throw new Error(`only ${trained} of ${done} models were trained`);
      return (performance.now() - begun) / 1000;
    }
    if (performance.now() - begun > DONE_MS_MAX) throw new Error(`${done} of ${sensors.length} were trained`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
