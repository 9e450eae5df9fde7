/** Training as it is asked for: the request on the work queue, and which models are due. */
import type { Pool } from "pg";
import { say, type Bus } from "./bus.ts";
import { CALIBRATIONS_MIN } from "./calibration.ts";
import { MODEL_TYPES, type ModelType } from "./model.ts";
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
  options: { maxAgeDays?: number; formatVersion: number },
): Promise<DueModel[]> {
  const found = await pool.query<{ sensor_id: number; model_type: ModelType; because: string | null }>(FIND_DUE, [
    options.maxAgeDays ?? MODEL_AGE_DAYS_MAX,
    READINGS_GROWTH_SHARE,
    READINGS_GROWTH_MIN,
    CALIBRATIONS_MIN,
    options.formatVersion,
  ]);
  const due = found.rows.flatMap(({ sensor_id: sensorId, model_type: modelType, because }) =>
    because === null ? [] : [{ sensorId, modelType, because }],
  );
  const enough = {} as Record<ModelType, Set<number>>;
  for (const type of MODEL_TYPES) {
    const sensorIds = due.filter((one) => one.modelType === type).map((one) => one.sensorId);
    const { rows } = await pool.query<{ sensor_id: number }>(ENOUGH[type].text, [sensorIds, ENOUGH[type].needed]);
    enough[type] = new Set(rows.map((row) => row.sensor_id));
  }
  return due.filter(({ sensorId, modelType }) => enough[modelType].has(sensorId));
}

/** Those of the sensors that have so many good readings; no more of them are looked at. */
const GOOD_READINGS = `
  select s as sensor_id from unnest($1::int[]) as s
   where (select count(*) from (select 1 from readings r where r.sensor_id = s and r.quality = 0 limit $2) as few) >= $2`;

/** Those of the sensors that have so many calibrations with a good reading before them. */
const CALIBRATIONS_WITH_READINGS = `
  select c.sensor_id from calibrations c
   where c.sensor_id = any($1::int[])
     and exists (select 1 from readings r where r.sensor_id = c.sensor_id and r.quality = 0 and r.timestamp < c.applied_at)
   group by 1 having count(*) >= $2`;

const ENOUGH: Readonly<Record<ModelType, { text: string; needed: number }>> = {
  anomaly: { text: GOOD_READINGS, needed: READINGS_FOR_ANOMALY_MIN },
  drift: { text: GOOD_READINGS, needed: READINGS_FOR_DRIFT_MIN },
  calibration: { text: CALIBRATIONS_WITH_READINGS, needed: CALIBRATIONS_WITH_READINGS_MIN },
};
