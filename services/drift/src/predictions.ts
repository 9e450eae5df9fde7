import { forecastDrift, type DriftModel } from "@calibration/models/drift-model.ts";
import { createCalendar } from "@calibration/models/calendar.ts";
import type { SensorAt } from "@calibration/shared/facts.ts";
import type { ModelCache } from "@calibration/shared/model-cache.ts";
import type { Reading } from "@calibration/shared/reading.ts";
import type { Pool } from "pg";
import { findMeansBefore, type FollowedSensor } from "./store.ts";

/** What is kept each hour: a day ahead, hour by hour. Any other horizon is answered on request. */
const HORIZON_HOURS = 24;
const STEP_HOURS = 1;
/** Thirty days of hourly means, as far back as the method looks. */
export const HISTORY_HOURS = 720;

export interface Prediction {
  sensorId: number;
  timestampMs: number;
  method: string;
  modelVersion: number | null;
  fallbackReason: string | null;
  baseline: number;
  currentDrift: number;
  predictions: unknown[];
}

/** Predicts from the hours that are closed; null while there is too little to say anything. */
export async function predictAhead(parts: {
  pool: Pick<Pool, "query">;
  models: Pick<ModelCache<DriftModel>, "load">;
  sensor: SensorAt;
  followed: FollowedSensor;
  reading: Reading;
}): Promise<Prediction | null> {
  const { pool, models, sensor, followed, reading } = parts;
  const { drift, baseline, span } = followed.last!;
  if (drift === null || baseline === null) return null;
  const since = followed.state.calibratedAtMs ?? 0;
  const kept = await findMeansBefore(
    pool,
    sensor.sensorId,
    since,
    followed.closed[0]?.hourMs ?? reading.timestampMs,
    HISTORY_HOURS,
  );
  const hours = [...kept, ...followed.closed.filter((hour) => hour.hourMs >= since)];
  if (hours.length < 2) return null;
  const promoted = sensor.model("drift");
  const found = promoted === null ? null : (await models.load([promoted.modelId])).get(promoted.modelId);
  const calendar = createCalendar(sensor.body.settings.time_zone);
  const forecast = forecastDrift(
    found?.model ?? null,
    {
      hourlyTimesMs: Float64Array.from(hours, (hour) => hour.hourMs),
      hourlyMeans: Float64Array.from(hours, (hour) => hour.mean),
      lastReadingMs: reading.timestampMs,
      baseline,
      span,
      hourOfDay: (timestampMs: number) => calendar(timestampMs).hour,
    },
    { horizonHours: HORIZON_HOURS, stepHours: STEP_HOURS, tolerance: sensor.body.settings.tolerance },
  );
  const modelSpoke = forecast.method !== "trend";
  return {
    sensorId: sensor.sensorId,
    timestampMs: reading.timestampMs,
    method: forecast.method,
    modelVersion: modelSpoke && found !== null && found.model !== null ? found.version : null,
    fallbackReason: found !== null && found.model === null ? found.reason : forecast.fallbackReason,
    baseline,
    currentDrift: drift,
    predictions: forecast.points.map(({ timestampMs, ...point }) => ({
      timestamp: new Date(timestampMs).toISOString(),
      ...point,
    })),
  };
}
