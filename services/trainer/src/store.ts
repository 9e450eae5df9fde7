import { ARTIFACT_FORMAT_VERSION } from "@calibration/models/artifact.ts";
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
import { DRIFT_HOURS_MIN, type DatedPair, type DriftData, type Series } from "./core/train.ts";
import type { Fitted } from "./fitting.ts";

/** The newest readings that a model is fitted on; older ones say little of the sensor as it is. */
export const READINGS_FITTED_MAX = 100_000;
/** Hourly means that drift is learnt from: 90 days. */
const DRIFT_HOURS_MAX = 2_160;
/** Readings that drift is learnt from while there are too few hours. */
const DRIFT_READINGS_MAX = 5_000;
/** Rows that are in memory as PostgreSQL sent them: about 2 MB, and some milliseconds to take in. */
const SLICE_ROWS = 10_000;
/** As much at a reading a second is 2.6 million readings to average. */
const SLICE_HOURS = 720;
const HOUR_MS = 3_600_000;

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

/** The newest good readings since an instant, oldest first: fetched slice by slice, whatever there is of them. */
export async function findGoodReadings(
  pool: pg.Pool,
  sensorId: number,
  most: number = READINGS_FITTED_MAX,
  sinceMs = 0,
): Promise<Series> {
  const timesMs = new Float64Array(most);
  const values = new Float64Array(most);
  let from = most;
  await inSlices<[number, number]>(
    pool,
    `select (extract(epoch from timestamp) * 1000)::float8, raw_value from readings
      where sensor_id = $1 and quality = 0 and timestamp >= to_timestamp($3 / 1000.0) order by timestamp desc limit $2`,
    [sensorId, most, sinceMs],
    (rows) => {
      for (const [timeMs, value] of rows) {
        timesMs[--from] = Math.round(timeMs);
        values[from] = value;
      }
    },
  );
  return { timesMs: timesMs.slice(from), values: values.slice(from) };
}

/** What a query finds, a slice at a time from a cursor: all of it as it stood when the first was fetched. */
async function inSlices<R extends unknown[]>(
  pool: pg.Pool,
  text: string,
  values: unknown[],
  take: (rows: R[]) => void,
): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query(`declare slices no scroll cursor for ${text}`, values);
    for (let full = true; full;) {
      const { rows } = await client.query<R>({ text: `fetch ${SLICE_ROWS} from slices`, rowMode: "array" });
      take(rows);
      full = rows.length === SLICE_ROWS;
    }
  });
}

/** What drift is learnt from: since the latest calibration where that is enough, by the hour where there are enough hours. */
export async function findDriftSeries(pool: pg.Pool, sensorId: number, readingsMin: number): Promise<DriftData> {
  const latest = await pool.query<{ at_ms: number | null }>(
    "select (extract(epoch from max(applied_at)) * 1000)::float8 as at_ms from calibrations where sensor_id = $1 and applied_at <= now()",
    [sensorId],
  );
  for (const sinceMs of [latest.rows[0]?.at_ms ?? 0, 0]) {
    const hours = await findHours(pool, sensorId, sinceMs);
    const readings = hours.counts.reduce((sum, count) => sum + count, 0);
    if (readings < readingsMin) continue;
    if (hours.counts.length >= DRIFT_HOURS_MIN) return { ...hours, cadence: "hour", readings };
    const series = await findGoodReadings(pool, sensorId, DRIFT_READINGS_MAX, sinceMs);
    return { series, cadence: "reading", counts: new Float64Array(series.values.length).fill(1), readings };
  }
  const few = await findGoodReadings(pool, sensorId, readingsMin);
  return { series: few, cadence: "reading", counts: new Float64Array(few.values.length), readings: 0 };
}

/**
 * The newest hourly means since an instant, oldest first. They are counted back from the newest reading a month or so at a
 * time, so that a sensor with years of readings a second is not read to its beginning.
 */
async function findHours(
  pool: Pick<pg.Pool, "query">,
  sensorId: number,
  sinceMs: number,
): Promise<{ series: Series; counts: Float64Array }> {
  const found: [number, number, number][] = [];
  for (let untilMs: number | null = null; found.length < DRIFT_HOURS_MAX;) {
    const newest: { rows: { hour_ms: number | null }[] } = await pool.query(
      `select (extract(epoch from date_trunc('hour', max(timestamp), 'UTC')) * 1000)::float8 as hour_ms from readings
        where sensor_id = $1 and quality = 0 and timestamp >= to_timestamp($2 / 1000.0) and timestamp < coalesce(to_timestamp($3 / 1000.0), 'infinity')`,
      [sensorId, sinceMs, untilMs],
    );
    const newestMs = newest.rows[0]!.hour_ms;
    if (newestMs === null) break;
    const fromMs = newestMs - (SLICE_HOURS - 1) * HOUR_MS;
    const { rows } = await pool.query<[number, number, number]>({
      text: `select (extract(epoch from date_trunc('hour', timestamp, 'UTC')) * 1000)::float8, avg(raw_value::numeric)::float8, count(*)::int from readings
              where sensor_id = $1 and quality = 0 and timestamp >= to_timestamp($2 / 1000.0) and timestamp < to_timestamp($3 / 1000.0)
              group by 1 order by 1 desc limit $4`,
      values: [sensorId, Math.max(sinceMs, fromMs), newestMs + HOUR_MS, DRIFT_HOURS_MAX - found.length],
      rowMode: "array",
    });
    found.push(...rows);
    untilMs = fromMs;
  }
  found.reverse();
  return {
    series: {
      timesMs: Float64Array.from(found, ([hourMs]) => hourMs),
      values: Float64Array.from(found, ([, mean]) => mean),
    },
    counts: Float64Array.from(found, ([, , count]) => count),
  };
}

/** All calibrations count; those with readings before them can be learnt from. */
export async function findCalibrations(
  pool: Pick<pg.Pool, "query">,
  sensorId: number,
): Promise<{ calibrations: number; pairs: DatedPair[] }> {
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
  | { status: "trained"; trained: Fitted }
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
  trained: Fitted,
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
  trained: Fitted,
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
  const comparison = await trained.compareWith(inForce.artifact, inForce.to_ms ?? 0);
  return comparison === "unreadable"
    ? decidePromotion(mode, { model: null, why: unreadable })
    : decidePromotion(mode, { model: "in force", comparison });
}

/** Where a model comes from: enough to fit it again, and to see that it is the same. */
function lineageOf(trained: Fitted, startedAt: Date): Record<string, unknown> {
  return {
    training_from: trained.fromMs === null ? null : new Date(trained.fromMs).toISOString(),
    training_to: trained.toMs === null ? null : new Date(trained.toMs).toISOString(),
    rows: trained.rows,
    data_sha256: trained.dataSha256,
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
