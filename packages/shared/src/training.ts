/** Training as it is asked for: the request on the work queue, and which models are due. */
import type { Pool } from "pg";
import { say, type Bus } from "./bus.ts";
import { CALIBRATIONS_MIN } from "./calibration.ts";
import type { ModelType } from "./model.ts";
import { subjects } from "./topology.ts";

export type TrainingTrigger = "schedule" | "request" | "cli";

/** The message on `training.<type>.<sensor id>`. */
export interface TrainingRequest {
  job_id: string;
  sensor_id: number;
  model_type: ModelType;
  trigger: TrainingTrigger;
  due_because: string | null;
}

/** What each model needs. */
export const READINGS_FOR_ANOMALY_MIN = 10;
export const READINGS_FOR_DRIFT_MIN = 20;
export const CALIBRATIONS_WITH_READINGS_MIN = 3;
/** A model is due when it is older. */
export const MODEL_AGE_DAYS_MAX = 7;
/** Or when there are so many more readings than it was trained on, in share and in number. */
export const READINGS_GROWTH_SHARE = 0.2;
export const READINGS_GROWTH_MIN = 100;

/** Puts requests on the queue; the same request twice is one. */
export async function requestTraining(
  bus: Pick<Bus, "jetstream">,
  requests: readonly TrainingRequest[],
): Promise<void> {
  await say(
    bus,
    requests.map((request) => ({
      subject: subjects.training(request.model_type, request.sensor_id),
      id: `${request.job_id}-${request.sensor_id}-${request.model_type}`,
      body: JSON.stringify(request),
    })),
  );
}

export interface DueModel {
  sensorId: number;
  modelType: ModelType;
  because: string;
}

/** `readings_seen` in a model's params is the sensor's count of readings when it was trained. */
const FIND_DUE = `
  with types(model_type) as (values ('anomaly'), ('drift'), ('calibration')),
  standing as (
    select s.id as sensor_id, t.model_type, coalesce(l.readings, 0) as readings, m.id as model_id, m.trained_at,
           coalesce((m.params->>'readings_seen')::bigint, m.samples) as seen,
           (select count(*) from calibrations c where c.sensor_id = s.id) as calibrations,
           exists (select 1 from calibrations c where c.sensor_id = s.id and c.valid_from > m.trained_at) as newly_calibrated,
           m.format_problem
      from sensors s cross join types t
      left join sensor_latest l on l.sensor_id = s.id
      left join lateral (
        select a.id, a.trained_at, a.params, a.samples, case when length(a.artifact) > 4 then get_byte(substring(a.artifact from 5 for 1), 0) <> $5::int else true end as format_problem
          from model_artifacts a where a.sensor_id = s.id and a.model_type = t.model_type and a.current) m on true
  )
  select sensor_id, model_type,
         case when model_id is null then 'no current model'
              when format_problem then 'the stored model has another format'
              when trained_at < now() - make_interval(days => $1::int) then 'older than ' || $1::int || ' days'
              when newly_calibrated and model_type <> 'anomaly' then 'a new calibration'
              when model_type <> 'calibration' and readings - seen >= greatest($3::float8, $2::float8 * seen) then (readings - seen) || ' more readings'
         end as because
    from standing
   where case when model_type = 'calibration' then calibrations >= $4::bigint else readings > 0 end
   order by sensor_id, model_type`;

const GOOD_READINGS =
  "select count(*)::int as n from (select 1 from readings where sensor_id = $1 and quality = 0 limit $2) as few";

/** Good readings of a sensor, counted up to a limit. */
export async function countGoodReadings(pool: Pick<Pool, "query">, sensorId: number, most: number): Promise<number> {
  return (await pool.query<{ n: number }>(GOOD_READINGS, [sensorId, most])).rows[0]!.n;
}

const PAIRS = `
  select c.id, c.corrected_value, c.applied_at, before.raw_value
    from calibrations c
    left join lateral (
      select avg(raw_value::numeric)::float8 as raw_value from (
        select raw_value from readings r
         where r.sensor_id = c.sensor_id and r.timestamp < c.applied_at and r.quality = 0
         order by r.timestamp desc limit $2) as last) before on true
   where c.sensor_id = $1
   order by c.applied_at, c.id`;

export interface CalibrationWithRaw {
  id: number;
  corrected_value: number;
  applied_at: Date;
  /** The mean of the last good readings before it; null where there are none. */
  raw_value: number | null;
}

/** A sensor's calibrations, oldest first, each with what the sensor said before it. */
export async function findCalibrationPairs(
  pool: Pick<Pool, "query">,
  sensorId: number,
  readingsBefore: number,
): Promise<CalibrationWithRaw[]> {
  return (await pool.query<CalibrationWithRaw>(PAIRS, [sensorId, readingsBefore])).rows;
}

/** The models that should be trained now. A sensor that is short of data is not due. */
export async function findDue(
  pool: Pick<Pool, "query">,
  options: { maxAgeDays?: number; formatVersion: number; readingsBefore: number },
): Promise<DueModel[]> {
  const found = await pool.query<{ sensor_id: number; model_type: ModelType; because: string | null }>(FIND_DUE, [
    options.maxAgeDays ?? MODEL_AGE_DAYS_MAX,
    READINGS_GROWTH_SHARE,
    READINGS_GROWTH_MIN,
    CALIBRATIONS_MIN,
    options.formatVersion,
  ]);
  const due: DueModel[] = [];
  for (const { sensor_id: sensorId, model_type: modelType, because } of found.rows) {
    if (because !== null && (await hasEnough(pool, sensorId, modelType, options.readingsBefore)))
      due.push({ sensorId, modelType, because });
  }
  return due;
}

async function hasEnough(
  pool: Pick<Pool, "query">,
  sensorId: number,
  modelType: ModelType,
  readingsBefore: number,
): Promise<boolean> {
  if (modelType === "calibration") {
    const pairs = await findCalibrationPairs(pool, sensorId, readingsBefore);
    return pairs.filter(({ raw_value: raw }) => raw !== null).length >= CALIBRATIONS_WITH_READINGS_MIN;
  }
  const needed = modelType === "anomaly" ? READINGS_FOR_ANOMALY_MIN : READINGS_FOR_DRIFT_MIN;
  return (await countGoodReadings(pool, sensorId, needed)) >= needed;
}
