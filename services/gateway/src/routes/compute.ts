import { correctByModel, decodeCalibrationModel, type CalibrationModel } from "@calibration/models/calibration-fit.ts";
import { createCalendar } from "@calibration/models/calendar.ts";
import { explainCorrection, type CalibrationRecord } from "@calibration/models/correction.ts";
import { decodeDriftModel, forecastDrift, HORIZON_HOURS_MAX } from "@calibration/models/drift-model.ts";
import { decodeIsolationForest, expectedValue, scoreReading } from "@calibration/models/isolation-forest.ts";
import { judgeByThreshold, RECENT_READINGS, ROBUST_THRESHOLD } from "@calibration/models/robust-threshold.ts";
import { READINGS_PER_MESSAGE_MAX } from "@calibration/shared/topology.ts";
import { SETTINGS_DEFAULTS } from "@calibration/shared/sensor.ts";
import type { FastifyInstance } from "fastify";
import type pg from "pg";
import { Type } from "typebox";
import { readInstant } from "../instants.ts";
import { findModelInForce } from "../models.ts";
import { invalid, Problem } from "../problem.ts";
import { DetectionAsked, DriftPrediction, ExpectedHour, IdParams, Instant, nullable } from "../schemas.ts";
import { findSensor, sensorBody } from "../sensors.ts";
import { READINGS_BODY_BYTES_MAX, typed, type Parts } from "../server.ts";

const HISTORY_HOURS = 1_440;
const POINTS_MAX = 5_000;
const HOUR_MS = 3_600_000;
/** A chart of more hours shows buckets too wide for what a weekday's hour is used to. */
const BAND_HOURS_MAX = 2_400;

export function computeRoutes(scope: FastifyInstance, { pool }: Parts): void {
  const app = typed(scope);

  app.post(
    "/api/enhanced-anomaly-detection",
    {
      config: { access: "compute" },
      bodyLimit: READINGS_BODY_BYTES_MAX,
      schema: { body: DetectionAsked },
      // Before each of them is checked: too many is 413, whatever they are.
      preValidation: async ({ body }: { body: unknown }) => {
        const { readings } = (body ?? {}) as { readings?: unknown };
        if (Array.isArray(readings) && readings.length > READINGS_PER_MESSAGE_MAX)
          throw new Problem("too_large", `${readings.length} readings, at most ${READINGS_PER_MESSAGE_MAX} at once`);
      },
    },
    async ({ body, identity }) => {
      const sensor = await findSensor(pool, body.sensor_id, identity);
      if (body.readings !== undefined && (body.value !== undefined || body.timestamp !== undefined))
        throw invalid("/readings", "send readings, or one value with its timestamp, not both");
      if (body.timestamp !== undefined && body.value === undefined)
        throw invalid("/value", "a timestamp is that of a value; without both the latest reading is judged");
      const asked = await readingsAsked(pool, body);
      const found = await findModelInForce(pool, sensor.id, "anomaly", decodeIsolationForest);
      const clock = createCalendar(sensor.settings.time_zone ?? SETTINGS_DEFAULTS.time_zone);
      if (found.model !== null) {
        const { model: forest } = found;
        const results = asked.map(({ value, timestampMs }) => {
          const { hour, weekday } = clock(timestampMs);
          const score = scoreReading(forest, value, hour, weekday);
          const usual = expectedValue(forest, hour, weekday);
          return resultOf({
            value,
            timestampMs,
            score,
            threshold: forest.threshold,
            isAnomaly: score > forest.threshold,
            expected: usual?.expected ?? null,
          });
        });
        return {
          sensor_id: sensor.id,
          method: "isolation_forest",
          model_version: found.version,
          fallback_reason: null,
          results,
        };
      }
      const recent = await valuesBefore(pool, sensor.id, asked[0]!.timestampMs);
      let enough = true;
      const results = asked.map(({ value, timestampMs }) => {
        const judged = judgeByThreshold(recent, value);
        recent.push(value);
        if (recent.length > RECENT_READINGS) recent.shift();
        enough &&= judged !== null;
        return resultOf({
          value,
          timestampMs,
          score: judged?.score ?? null,
          threshold: ROBUST_THRESHOLD,
          isAnomaly: judged?.isAnomaly ?? false,
          expected: judged?.expected ?? null,
        });
      });
      return {
        sensor_id: sensor.id,
        method: "threshold",
        model_version: null,
        fallback_reason: enough ? found.reason : "insufficient_history",
        results,
      };
    },
  );

  const Query = Type.Object({
    horizon: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: HORIZON_HOURS_MAX, default: 24 })),
    step: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: HORIZON_HOURS_MAX, default: 1 })),
    method: Type.Optional(Type.Union([Type.Literal("linear_regression"), Type.Literal("blend")])),
  });
  app.get(
    "/api/sensors/:id/drift-prediction",
    {
      config: { access: "read" },
      schema: { params: IdParams, querystring: Query, response: { 200: DriftPrediction } },
    },
    async ({ params, query, identity }) => {
      const sensor = await findSensor(pool, params.id, identity);
      const { horizon = 24, step = 1, method } = query;
      if (horizon / step > POINTS_MAX)
        throw invalid("/step", `at most ${POINTS_MAX} points: a larger step, or a smaller horizon`);
      const { baseline, drift } = sensorBody(sensor);
      const found = await findModelInForce(pool, sensor.id, "drift", decodeDriftModel);
      const version = found.model === null ? null : found.version;
      if (baseline === null || sensor.newest === null) {
        return {
          sensor_id: sensor.id,
          method: "trend",
          model_version: null,
          fallback_reason: "insufficient_history",
          baseline,
          current_drift: null,
          predictions: [],
          slope: null,
          time_to_tolerance: null,
          skill: null,
          unreferenced: true,
          remark: null,
        };
      }
      const hours = await findHours(pool, sensor.id);
      const clock = createCalendar(sensor.settings.time_zone ?? SETTINGS_DEFAULTS.time_zone);
      const span = sensor.span ?? 0;
      const means = Float64Array.from(hours, ({ mean }) => mean);
      const forecast = forecastDrift(
        found.model,
        {
          hourlyTimesMs: Float64Array.from(hours, ({ hour_ms: hourMs }) => hourMs),
          hourlyMeans: means,
          lastReadingMs: sensor.newest.getTime(),
          baseline,
          span,
          hourOfDay: (ms) => clock(ms).hour,
        },
        { horizonHours: horizon, stepHours: step, method, tolerance: sensor.settings.tolerance ?? null },
      );
      const { skill, calibrated } = await findStanding(pool, sensor.id, forecast.method);
      return {
        sensor_id: sensor.id,
        method: forecast.method,
        model_version: forecast.method === "trend" ? null : version,
        fallback_reason:
          found.model === null && forecast.fallbackReason === "model_missing" ? found.reason : forecast.fallbackReason,
        baseline,
        current_drift: drift,
        predictions: forecast.points.map(({ timestampMs, ...point }) => ({
          timestamp: new Date(Math.round(timestampMs)).toISOString(),
          ...point,
        })),
        // Percent a day, with its 90 % interval.
        slope:
          forecast.slope === null
            ? null
            : { percent_per_day: forecast.slope.perDay, lower: forecast.slope.low, upper: forecast.slope.high },
        // Hours; null without a tolerance.
        time_to_tolerance: forecast.timeToTolerance,
        skill,
        // Without a calibration to begin at, a trend of raw readings may as well be the process that changes.
        unreferenced: !calibrated,
        remark: skill !== null && skill <= 0 ? "in its back-test this was no better than the last value" : null,
      };
    },
  );

  const BandQuery = Type.Object({ from: Instant, to: Instant });
  app.get(
    "/api/sensors/:id/expected",
    {
      config: { access: "read" },
      schema: {
        params: IdParams,
        querystring: BandQuery,
        response: {
          200: Type.Object({ model_version: nullable(Type.Integer()), results: Type.Array(ExpectedHour) }),
        },
      },
    },
    async ({ params, query, identity }) => {
      const sensor = await findSensor(pool, params.id, identity);
      const fromMs = Math.floor(readInstant("/from", query.from).getTime() / HOUR_MS) * HOUR_MS;
      const toMs = readInstant("/to", query.to).getTime();
      if ((toMs - fromMs) / HOUR_MS > BAND_HOURS_MAX)
        throw invalid("/to", `at most ${BAND_HOURS_MAX} hours after from`);
      const found = await findModelInForce(pool, sensor.id, "anomaly", decodeIsolationForest);
      if (found.model === null) return { model_version: null, results: [] };
      const { model: forest } = found;
      const clock = createCalendar(sensor.settings.time_zone ?? SETTINGS_DEFAULTS.time_zone);
      const results = [];
      for (let ms = fromMs; ms < toMs; ms += HOUR_MS) {
        const { hour, weekday } = clock(ms);
        const usual = expectedValue(forest, hour, weekday);
        if (usual === null) continue;
        const { expected, spread } = usual;
        results.push({
          timestamp: new Date(ms).toISOString(),
          expected,
          lower: expected - spread,
          upper: expected + spread,
        });
      }
      return { model_version: found.version, results };
    },
  );

  app.post(
    "/api/sensors/:id/correct",
    {
      config: { access: "compute" },
      schema: { params: IdParams, body: Type.Object({ raw_value: Type.Number() }, { additionalProperties: false }) },
    },
    async ({ params, body, identity }) => {
      const sensor = await findSensor(pool, params.id, identity);
      const found = await findModelInForce(pool, sensor.id, "calibration", decodeCalibrationModel);
      const { rows } = await pool.query<CalibrationRecord>(
        `select method, params, (extract(epoch from applied_at) * 1000)::float8 as "appliedAtMs" from calibrations where sensor_id = $1 order by applied_at, id`,
        [sensor.id],
      );
      const missing = found.model === null && found.reason === "model_missing";
      const corrected = explainCorrection(missing ? null : found, rows, {
        timestampMs: Date.now(),
        value: body.raw_value,
      });
      return {
        raw_value: body.raw_value,
        corrected_value: corrected.correctedValue,
        method: corrected.method,
        model_version: corrected.modelVersion,
        fallback_reason: corrected.fallbackReason,
        ...boundsOf(found.model, corrected.modelVersion, body.raw_value),
      };
    },
  );
}

interface Asked {
  value: number;
  timestampMs: number;
}

async function readingsAsked(
  pool: pg.Pool,
  body: {
    sensor_id: number;
    value?: number;
    timestamp?: string | number;
    readings?: { value: number; timestamp: string | number }[];
  },
): Promise<Asked[]> {
  if (body.readings !== undefined)
    return body.readings.map(({ value, timestamp }, index) => ({
      value,
      timestampMs: readInstant(`/readings/${index}/timestamp`, timestamp).getTime(),
    }));
  const timestampMs = body.timestamp === undefined ? Date.now() : readInstant("/timestamp", body.timestamp).getTime();
  if (body.value !== undefined) return [{ value: body.value, timestampMs }];
  const { rows } = await pool.query<{ value: number; at: Date }>(
    "select raw_value as value, timestamp as at from readings where sensor_id = $1 and quality < 2 order by timestamp desc limit 1",
    [body.sensor_id],
  );
  if (rows[0] === undefined) throw new Problem("insufficient_data", "Not enough data: 1 reading needed, 0 available");
  return [{ value: rows[0].value, timestampMs: rows[0].at.getTime() }];
}

async function valuesBefore(pool: pg.Pool, sensorId: number, beforeMs: number): Promise<number[]> {
  const { rows } = await pool.query<{ value: number }>(
    "select raw_value as value from readings where sensor_id = $1 and quality < 2 and timestamp < to_timestamp($2 / 1000.0) order by timestamp desc limit $3",
    [sensorId, beforeMs, RECENT_READINGS],
  );
  return rows.map(({ value }) => value).reverse();
}

/** A model's 95 % prediction interval, whether it was asked beyond what it was calibrated on, and what it remarks on its entries. */
function boundsOf(model: CalibrationModel | null, version: number | null, raw: number) {
  if (model === null || version === null) return { lower: null, upper: null, extrapolated: null, remarks: [] };
  const { lower, upper, extrapolated } = correctByModel(model, raw);
  return { lower, upper, extrapolated, remarks: model.remarks };
}

/** How the method that answers did in the back-test of the model in force, and whether the sensor was ever calibrated. */
async function findStanding(
  pool: pg.Pool,
  sensorId: number,
  method: string,
): Promise<{ skill: number | null; calibrated: boolean }> {
  const { rows } = await pool.query<{ skill: number | null; calibrated: boolean }>(
    `select (select (metrics->'by_method'->$2->>'skill')::float8 from model_artifacts where sensor_id = $1 and model_type = 'drift' and current) as skill,
            exists (select 1 from calibrations where sensor_id = $1 and applied_at <= now()) as calibrated`,
    [sensorId, method],
  );
  return rows[0]!;
}

/** The hours since the latest calibration, the open one among them, oldest first. */
async function findHours(pool: pg.Pool, sensorId: number): Promise<{ hour_ms: number; mean: number }[]> {
  const { rows } = await pool.query<{ hour_ms: number; mean: number }>(
    `with followed as (select body from sensor_drift where sensor_id = $1),
          hours as (
            select (extract(epoch from hour) * 1000)::float8 as hour_ms, mean from hourly_means
             where sensor_id = $1 and hour >= to_timestamp(coalesce((select (body->>'calibratedAtMs')::float8 from followed), 0) / 1000.0)
            union
            select (body->'open'->>'hourMs')::float8, (body->'open'->>'sum')::float8 / (body->'open'->>'count')::float8 from followed where jsonb_typeof(body->'open') = 'object')
     select hour_ms, mean from hours order by hour_ms desc limit $2`,
    [sensorId, HISTORY_HOURS],
  );
  return rows.reverse();
}

/** A flag of the forest or its fallback alone is at most Low, and has no type: that takes an episode. */
function resultOf(
  judged: Asked & { score: number | null; threshold: number; isAnomaly: boolean; expected: number | null },
) {
  return {
    value: judged.value,
    timestamp: new Date(judged.timestampMs).toISOString(),
    is_anomaly: judged.isAnomaly,
    score: judged.score,
    threshold: judged.threshold,
    type: null,
    severity: judged.isAnomaly ? "Low" : null,
    expected: judged.expected,
    deviation: judged.expected === null ? null : judged.value - judged.expected,
  };
}
