/** Models that are in force before anything is measured: of each type one, the same for every sensor. */
import type { ModelType } from "@calibration/shared/model.ts";
import { SETTINGS_DEFAULTS } from "@calibration/shared/sensor.ts";
import { createHash } from "node:crypto";
import { train, type FitTask } from "../../services/trainer/src/core/train.ts";
import { aReading } from "./publisher.ts";
import { sensorOfBench, type Site } from "./site.ts";

const FITTED = 5000;
const HOURS = 720;
const HOUR_MS = 3_600_000;
const PAIRS = 12;

export async function giveModels({ database, sensors }: Site, types: readonly ModelType[]): Promise<void> {
  for (const type of types) {
    const { artifact, algorithm, samples } = train(taskOf(type));
    const bytes = Buffer.from(artifact);
    await database.pool.query(
      `with made as (
         insert into model_artifacts (model_name, model_type, sensor_id, version, current, algorithm, params, features, samples, metrics,
           trained_at, trigger, size_bytes, sha256, artifact)
         select 'bench', $6, i, 1, true, $7, '{}', '[]', $2, '{}', now(), 'cli', $3, $4, $5
           from generate_series(1, $1::int) i returning id, sensor_id)
       insert into model_promotions (sensor_id, model_type, valid_from, model_id, version)
       select sensor_id, $6, now() - interval '1 hour', id, 1 from made`,
      [sensors, samples, bytes.length, createHash("sha256").update(bytes).digest("hex"), bytes, type, algorithm],
    );
  }
}

function taskOf(type: ModelType): FitTask {
  const series = (count: number, stepMs: number) => ({
    timesMs: Float64Array.from({ length: count }, (_, i) => i * stepMs),
    values: Float64Array.from({ length: count }, (_, i) => aReading(1, (i * stepMs) / 1000, 0).value),
  });
  if (type === "anomaly") return { type, series: series(FITTED, 13 * 60_000), settings: { ...SETTINGS_DEFAULTS } };
  if (type === "drift") {
    const counts = new Float64Array(HOURS).fill(60);
    return { type, series: series(HOURS, HOUR_MS), counts, cadence: "hour", readings: 60 * HOURS, body: sensorOfBench };
  }
  const pairs = Array.from({ length: PAIRS }, (_, i) => ({ raw: 15 + i, corrected: 1.01 * (15 + i), appliedAtMs: i }));
  return { type, pairs };
}
