import { ARTIFACT_FORMAT_VERSION, ArtifactError } from "@calibration/models/artifact.ts";
import type { CalibrationPair } from "@calibration/models/calibration-fit.ts";
import { READINGS_BEFORE_CALIBRATION } from "@calibration/shared/calibration.ts";
import { inTransaction } from "@calibration/shared/database.ts";
import { FACT_LEAD_MS } from "@calibration/shared/facts.ts";
import { MODEL_COLUMNS, modelName, type ModelRow } from "@calibration/shared/model.ts";
import type { SensorBody } from "@calibration/shared/sensor.ts";
import { findCalibrationPairs, type TrainingRequest } from "@calibration/shared/training.ts";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type pg from "pg";
import { decidePromotion, type Promotion } from "./core/compare.ts";
import { DRIFT_HOURS_MIN, type Series, type Trained } from "./core/train.ts";

/** The newest readings that a model is fitted on; older ones say little of the sensor as it is. */
export const READINGS_FITTED_MAX = 100_000;
/** Hourly means that drift is learnt from: 90 days. */
const DRIFT_HOURS_MAX = 2_160;
/** Readings that drift is learnt from while there are too few hours. */
const DRIFT_READINGS_MAX = 5_000;

export interface TrainedSensor {
  id: number;
  site: string;
  key: string;
  body: SensorBody;
  /** All its readings so far. */
  readings: number;
}

export async function findSensor(pool: Pick<pg.Pool, "query">, sensorId: number): Promise<TrainedSensor | null> {
  const { rows } = await pool.query<SensorBody & { id: number; site: string; key: string; readings: number }>(
    `select s.id, s.site, s.key, s.name, s.type, s.unit, s.range_min, s.range_max, s.expected_interval_s, s.baseline, s.settings, coalesce(l.readings, 0) as readings
       from sensors s left join sensor_latest l on l.sensor_id = s.id where s.id = $1`,
    [sensorId],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const { id, site, key, readings, ...body } = row;
  return { id, site, key, body, readings };
}

/** The newest good readings since an instant, oldest first. */
export async function findGoodReadings(
  pool: Pick<pg.Pool, "query">,
  sensorId: number,
  most: number = READINGS_FITTED_MAX,
  sinceMs = 0,
): Promise<Series> {
  const { rows } = await pool.query<[number, number]>({
    text: `select (extract(epoch from timestamp) * 1000)::float8, raw_value from readings
            where sensor_id = $1 and quality = 0 and timestamp >= to_timestamp($3 / 1000.0) order by timestamp desc limit $2`,
    values: [sensorId, most, sinceMs],
    rowMode: "array",
  });
  rows.reverse();
  return {
    timesMs: Float64Array.from(rows, ([timeMs]) => Math.round(timeMs)),
    values: Float64Array.from(rows, ([, value]) => value),
  };
}

/** What drift is learnt from: since the latest calibration where that is enough, by the hour where there are enough hours. */
export async function findDriftSeries(
  pool: Pick<pg.Pool, "query">,
  sensorId: number,
  readingsMin: number,
): Promise<{ series: Series; cadence: "hour" | "reading"; readings: number; newerThan(timeMs: number): number }> {
  const latest = await pool.query<{ at_ms: number | null }>(
    "select (extract(epoch from max(applied_at)) * 1000)::float8 as at_ms from calibrations where sensor_id = $1 and applied_at <= now()",
    [sensorId],
  );
  for (const sinceMs of [latest.rows[0]?.at_ms ?? 0, 0]) {
    const { rows } = await pool.query<[number, number, number]>({
      text: `select (extract(epoch from date_trunc('hour', timestamp, 'UTC')) * 1000)::float8, avg(raw_value::numeric)::float8, count(*)::int from readings
              where sensor_id = $1 and quality = 0 and timestamp >= to_timestamp($3 / 1000.0) group by 1 order by 1 desc limit $2`,
      values: [sensorId, DRIFT_HOURS_MAX, sinceMs],
      rowMode: "array",
    });
    rows.reverse();
    const readings = rows.reduce((sum, [, , count]) => sum + count, 0);
    if (readings < readingsMin) continue;
    if (rows.length < DRIFT_HOURS_MIN) {
      const series = await findGoodReadings(pool, sensorId, DRIFT_READINGS_MAX, sinceMs);
      return {
        series,
        cadence: "reading",
        readings,
        newerThan: (timeMs) => series.timesMs.filter((one) => one > timeMs).length,
      };
    }
    return {
      series: {
        timesMs: Float64Array.from(rows, ([timeMs]) => timeMs),
        values: Float64Array.from(rows, ([, mean]) => mean),
      },
      cadence: "hour",
      readings,
      newerThan: (timeMs) => rows.reduce((sum, [hourMs, , count]) => sum + (hourMs > timeMs ? count : 0), 0),
    };
  }
  const few = await findGoodReadings(pool, sensorId, readingsMin);
  return { series: few, cadence: "reading", readings: 0, newerThan: () => 0 };
}

/** All calibrations count; those with readings before them can be learnt from. */
export async function findCalibrations(
  pool: Pick<pg.Pool, "query">,
  sensorId: number,
): Promise<{ calibrations: number; pairs: (CalibrationPair & { appliedAtMs: number })[] }> {
  const found = await findCalibrationPairs(pool, sensorId, READINGS_BEFORE_CALIBRATION);
  const pairs = found.flatMap(({ raw_value: raw, corrected_value: corrected, applied_at: appliedAt }) =>
    raw === null ? [] : [{ raw, corrected, appliedAtMs: appliedAt.getTime() }],
  );
  return { calibrations: found.length, pairs };
}

export async function isAnswered(pool: Pick<pg.Pool, "query">, request: TrainingRequest): Promise<boolean> {
  const { rowCount } = await pool.query(
    "select 1 from training_runs where job_id = $1 and sensor_id = $2 and model_type = $3",
    [request.job_id, request.sensor_id, request.model_type],
  );
  return rowCount !== 0;
}

export type Outcome =
  | { status: "trained"; trained: Trained }
  | { status: "insufficient_data"; error: string; required: number; available: number }
  | { status: "failed"; error: string };

export interface KeptRun {
  model: ModelRow | null;
  promoted: boolean;
}

/** Keeps the artifact, its promotion and the run's outcome, all or nothing; null where the request was answered before. */
export async function keepOutcome(
  pool: pg.Pool,
  request: TrainingRequest,
  sensor: TrainedSensor | null,
  outcome: Outcome,
  startedAt: Date,
): Promise<KeptRun | null> {
  return inTransaction(pool, async (client) => {
    // One training of a sensor and type at a time: versions count without holes.
    await client.query("select pg_advisory_xact_lock(hashtext($1), $2)", [
      `train ${request.model_type}`,
      request.sensor_id,
    ]);
    if (await isAnswered(client, request)) return null;
    const model =
      outcome.status === "trained" && sensor !== null
        ? await keepArtifact(client, request, sensor, outcome.trained, startedAt)
        : null;
    const failed = outcome.status === "trained" ? null : outcome;
    await client.query(
      `insert into training_runs (job_id, sensor_id, model_type, trigger, due_because, status, error, required, available, model_id, started_at, finished_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp())`,
      [
        request.job_id,
        request.sensor_id,
        request.model_type,
        request.trigger,
        request.due_because,
        outcome.status,
        failed?.error ?? null,
        failed?.status === "insufficient_data" ? failed.required : null,
        failed?.status === "insufficient_data" ? failed.available : null,
        model?.id ?? null,
        startedAt,
      ],
    );
    return { model, promoted: model?.current ?? false };
  });
}

async function keepArtifact(
  client: pg.PoolClient,
  request: TrainingRequest,
  sensor: TrainedSensor,
  trained: Trained,
  startedAt: Date,
): Promise<ModelRow> {
  const { model_type: type } = request;
  const name = modelName(type, sensor.body.name, sensor.id);
  const bytes = Buffer.from(trained.artifact);
  const before = await client.query<{ version: number }>(
    "select coalesce(max(version), 0) as version from model_artifacts where sensor_id = $1 and model_type = $2",
    [sensor.id, type],
  );
  const promotion = await weighPromotion(client, sensor, type, trained);
  if (promotion.promoted)
    await client.query(
      "update model_artifacts set current = false where sensor_id = $1 and model_type = $2 and current",
      [sensor.id, type],
    );
  const kept = await client.query<ModelRow>(
    `insert into model_artifacts (model_name, model_type, sensor_id, version, current, algorithm, params, features, samples, metrics,
                                  trained_at, trigger, due_because, training_from, training_to, size_bytes, sha256, artifact)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp(), $11, $12, to_timestamp($13 / 1000.0), to_timestamp($14 / 1000.0), $15, $16, $17)
     returning ${MODEL_COLUMNS}`,
    [
      name,
      type,
      sensor.id,
      before.rows[0]!.version + 1,
      promotion.promoted,
      trained.algorithm,
      JSON.stringify({
        ...trained.params,
        readings_seen: sensor.readings,
        lineage: lineageOf(trained, startedAt),
        promotion,
      }),
      JSON.stringify(trained.features),
      trained.samples,
      JSON.stringify(trained.metrics),
      request.trigger,
      request.due_because,
      trained.fromMs,
      trained.toMs,
      bytes.length,
      createHash("sha256").update(bytes).digest("hex"),
      bytes,
    ],
  );
  const model = kept.rows[0]!;
  if (promotion.promoted) {
    await client.query(
      `insert into model_promotions (sensor_id, model_type, valid_from, model_id, version)
       values ($1, $2, clock_timestamp() + make_interval(secs => $5 / 1000.0), $3, $4)`,
      [sensor.id, type, model.id, model.version, FACT_LEAD_MS],
    );
  }
  await client.query(FORGET_VERSIONS, [sensor.id, type, VERSIONS_KEPT, VERSION_DAYS_KEPT]);
  return model;
}

/** Compared under the lock of the sensor and type: the model in force is the same when the new one is kept. */
async function weighPromotion(
  client: pg.PoolClient,
  { id, body }: TrainedSensor,
  type: TrainingRequest["model_type"],
  trained: Trained,
): Promise<Promotion> {
  const { rows } = await client.query<{ artifact: Buffer; sha256: string; version: number; to_ms: number | null }>(
    `select artifact, sha256, version, (extract(epoch from training_to) * 1000)::float8 as to_ms
       from model_artifacts where sensor_id = $1 and model_type = $2 and current`,
    [id, type],
  );
  const mode = body.settings.promotion;
  const [inForce] = rows;
  if (inForce === undefined) return decidePromotion(mode, { model: null, why: "no model was in force" });
  const unreadable = `version ${inForce.version}, which was in force, can no longer be read`;
  if (createHash("sha256").update(inForce.artifact).digest("hex") !== inForce.sha256)
    return decidePromotion(mode, { model: null, why: unreadable });
  try {
    const comparison = trained.compareWith(inForce.artifact, inForce.to_ms ?? 0);
    return decidePromotion(mode, { model: "in force", comparison });
  } catch (error) {
    if (!(error instanceof ArtifactError || error instanceof RangeError || error instanceof SyntaxError)) throw error;
    return decidePromotion(mode, { model: null, why: unreadable });
  }
}

/** Where a model comes from: enough to fit it again, and to see that it is the same. */
function lineageOf(trained: Trained, startedAt: Date): Record<string, unknown> {
  const digest = createHash("sha256");
  for (const column of trained.data) digest.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
  return {
    training_from: trained.fromMs === null ? null : new Date(trained.fromMs).toISOString(),
    training_to: trained.toMs === null ? null : new Date(trained.toMs).toISOString(),
    rows: trained.data[0]?.length ?? 0,
    data_sha256: digest.digest("hex"),
    seed: trained.settings["seed"] ?? null,
    settings: trained.settings,
    code_version: CODE_VERSION,
    artifact_format: ARTIFACT_FORMAT_VERSION,
    duration_ms: Date.now() - startedAt.getTime(),
  };
}

const CODE_VERSION = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;

/** The newest versions are kept whatever became of them; */
const VERSIONS_KEPT = 10;
/** and those that were in force so lately that a message of then may still be read, or somebody may want to go back. */
const VERSION_DAYS_KEPT = 30;
/** The one in force and the one before it are never forgotten. */
const FORGET_VERSIONS = `
  with force as (
    select model_id, row_number() over (order by valid_from desc) as back,
           lead(valid_from) over (order by valid_from) as until
      from model_promotions where sensor_id = $1 and model_type = $2),
  used as (
    select model_id from force where until is null or until > now() - make_interval(days => $4::int) or back <= 2),
  newest as (
    select id from model_artifacts where sensor_id = $1 and model_type = $2 order by version desc limit $3::int)
  delete from model_artifacts
   where sensor_id = $1 and model_type = $2 and not current
     and id not in (select model_id from used) and id not in (select id from newest)`;
