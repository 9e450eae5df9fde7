import { ARTIFACT_FORMAT_VERSION } from "@calibration/models/artifact.ts";
import { DAYS_PER_MONTH } from "@calibration/models/false-alarm-budget.ts";
import { ANOMALY_TYPES, SEVERITIES } from "@calibration/shared/anomaly.ts";
import { countKey } from "@calibration/shared/metrics.ts";
import { FALLBACK_REASONS, MODEL_TYPES } from "@calibration/shared/model.ts";
import { SENSOR_STATUSES, SENSOR_TYPES } from "@calibration/shared/sensor.ts";
import { findDue } from "@calibration/shared/training.ts";
import type { FastifyInstance } from "fastify";
import type pg from "pg";
import { createLag } from "../lag.ts";
import { sensorBody, sensorsInSlices, type SensorAnswer } from "../sensors.ts";
import { typed, type Parts } from "../server.ts";

const DAYS_SHOWN = 30;
/** What is due takes a look at every sensor; it is not looked for more often. */
const DUE_MS = 30_000;

interface Figure {
  value: number | null;
  unit: string;
  measured_on: string;
  samples: number;
  reason: string | null;
}

export function analyticsRoutes(scope: FastifyInstance, { pool, bus }: Parts): void {
  const findLag = createLag(bus, pool);
  let due: { sensorIds: number[]; atMs: number } | null = null;
  typed(scope).get("/api/ml-analytics", { config: { access: "read" } }, async ({ identity }) => {
    if (due === null || Date.now() - due.atMs > DUE_MS) {
      due = {
        sensorIds: (await findDue(pool, { formatVersion: ARTIFACT_FORMAT_VERSION })).map(({ sensorId }) => sensorId),
        atMs: Date.now(),
      };
    }
    const { sites } = identity;
    const [quality, { ids, falseAlarms, ...sensors }, readings, anomalies, models, training, fallbacks, lag] =
      await Promise.all([
        modelQuality(pool, sites),
        countSensors(pool, sites),
        countReadings(pool, sites),
        countAnomalies(pool, sites),
        countModels(pool, sites),
        countTraining(pool, sites),
        countFallbacks(pool),
        findLag(),
      ]);
    return {
      ...quality,
      sensors,
      readings,
      anomalies,
      false_alarms: falseAlarms,
      models: { ...models, due: due.sensorIds.filter((id) => ids.has(id)).length },
      training,
      fallbacks,
      lag,
    };
  });
}

/** Of a row with a sensor: whether whoever is fenced to the sites $1 may count it. Lag and fallbacks are the services' own, of no site. */
const VISIBLE = "($1::text[] is null or sensor_id in (select id from sensors where site = any($1)))";

/** A recall is a share, and has a mean. A skill has no lower end: the middle one is told, which no single sensor spoils for all. */
async function modelQuality(pool: pg.Pool, sites: string[] | null): Promise<Record<string, Figure>> {
  const { rows } = await pool.query<{
    model_type: string;
    value: number | null;
    samples: number;
    reason: string | null;
  }>(
    `
    select model_type,
           case model_type when 'anomaly' then avg((metrics->>'recall')::float8)
             else percentile_cont(0.5) within group (order by coalesce(metrics->>'skill', metrics->>'improvement')::float8) end as value,
           coalesce(sum((metrics->>'samples')::float8), 0)::int as samples, mode() within group (order by metrics->>'reason') as reason
      from model_artifacts where current and ${VISIBLE} group by model_type`,
    [sites],
  );
  const figure = (type: string, unit: string, measuredOn: string): Figure => {
    const row = rows.find(({ model_type: own }) => own === type);
    const value = row?.value ?? null;
    const reason =
      value !== null
        ? null
        : row === undefined
          ? `no ${type} model has been trained`
          : (row.reason ?? `no ${type} model could be measured`);
    return { value, unit, measured_on: measuredOn, samples: row?.samples ?? 0, reason };
  };
  return {
    anomaly_detection_rate: figure(
      "anomaly",
      "share",
      "faults injected into the held-out last 20 % of each sensor's readings: recall of the isolation forests",
    ),
    drift_prediction_accuracy: figure(
      "drift",
      "share",
      "the held-out last 20 % of each sensor's history: 1 - MAE / MAE of persistence, the median of the sensors",
    ),
    calibration_improvement: figure(
      "calibration",
      "share",
      "each calibration left out once: 1 - RMSE after / RMSE before, the median of the sensors",
    ),
  };
}

/** What is counted of a sensor; the rest of it is let go slice by slice. */
type Counted = Pick<SensorAnswer, "id" | "site" | "type" | "status" | "false_alarms">;

async function countSensors(pool: pg.Pool, sites: string[] | null) {
  const bodies: Counted[] = [];
  for await (const rows of sensorsInSlices(pool, sites)) {
    for (const row of rows) {
      const { id, site, type, status, false_alarms } = sensorBody(row);
      bodies.push({ id, site, type, status, false_alarms });
    }
  }
  const count = <K extends string>(keys: readonly K[], of: (body: (typeof bodies)[number]) => string) =>
    Object.fromEntries(keys.map((key) => [key, bodies.filter((body) => of(body) === key).length]));
  return {
    ids: new Set(bodies.map(({ id }) => id)),
    falseAlarms: sumFalseAlarms(bodies),
    total: bodies.length,
    by_status: count(SENSOR_STATUSES, ({ status }) => status),
    by_type: count(SENSOR_TYPES, ({ type }) => type),
  };
}

/** All sensors together and each plant: what was promised, and what was seen of it so far. */
function sumFalseAlarms(bodies: readonly Counted[]) {
  const sum = (own: readonly Counted[]) => {
    const add = (of: (one: SensorAnswer["false_alarms"]) => number): number =>
      own.reduce((total, { false_alarms: one }) => total + of(one), 0);
    return {
      sensors: own.length,
      promised_per_month: add((one) => one.promised_per_month),
      sensor_days: add((one) => one.days),
      own_history_days: add((one) => one.own_history_days),
      // A sensor that was watched for a day is asked for a day's share of its promise.
      promised_in_these_days: add((one) => (one.promised_per_month * one.days) / DAYS_PER_MONTH),
      alarms_in_these_days: add((one) => one.alarms),
    };
  };
  return {
    ...sum(bodies),
    by_site: Object.fromEntries([...Map.groupBy(bodies, ({ site }) => site)].map(([site, own]) => [site, sum(own)])),
  };
}

async function countReadings(pool: pg.Pool, sites: string[] | null) {
  const { rows } = await pool.query<{ total: number; last_24h: number }>(
    `
    select (select coalesce(sum(readings), 0) from sensor_latest where ${VISIBLE})::int8 as total,
           (select coalesce(sum(count), 0) from readings_per_hour where bucket > now() - interval '24 hours' and ${VISIBLE})::int8 as last_24h`,
    [sites],
  );
  return rows[0];
}

async function countAnomalies(pool: pg.Pool, sites: string[] | null) {
  const { rows } = await pool.query<{
    type: string | null;
    severity: string;
    resolved: boolean;
    alarm: boolean;
    count: number;
  }>(`select type, severity, resolved, alarm, count(*)::int from anomalies where ${VISIBLE} group by 1, 2, 3, 4`, [
    sites,
  ]);
  const days = await pool.query<{ day: string; count: number }>(
    `select to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD') as day, count(*)::int from anomalies where timestamp > now() - make_interval(days => ${DAYS_SHOWN}) and ${VISIBLE} group by 1 order by 1`,
    [sites],
  );
  const sum = (matches: (row: (typeof rows)[number]) => boolean): number =>
    rows.filter(matches).reduce((total, { count }) => total + count, 0);
  return {
    total: sum(() => true),
    open: sum(({ resolved }) => !resolved),
    alarms: sum(({ alarm }) => alarm),
    by_type: Object.fromEntries(ANOMALY_TYPES.map((type) => [type, sum((row) => row.type === type)])),
    by_severity: Object.fromEntries(SEVERITIES.map((severity) => [severity, sum((row) => row.severity === severity)])),
    by_day: Object.fromEntries(days.rows.map(({ day, count }) => [day, count])),
  };
}

async function countModels(pool: pg.Pool, sites: string[] | null) {
  const { rows } = await pool.query<{ model_type: string; count: number }>(
    `select model_type, count(*)::int from model_artifacts where current and ${VISIBLE} group by 1`,
    [sites],
  );
  return {
    total: rows.reduce((total, { count }) => total + count, 0),
    by_type: Object.fromEntries(
      MODEL_TYPES.map((type) => [type, rows.find((row) => row.model_type === type)?.count ?? 0]),
    ),
  };
}

async function countTraining(pool: pg.Pool, sites: string[] | null) {
  const { rows } = await pool.query(
    `select count(*)::int as runs, count(*) filter (where status = 'failed')::int as failed, count(*) filter (where status = 'insufficient_data')::int as short_of_data from training_runs where ${VISIBLE}`,
    [sites],
  );
  return rows[0] as unknown;
}

async function countFallbacks(pool: pg.Pool) {
  const { rows } = await pool.query<{ service: string; counters: Record<string, number> | null }>(
    "select service, counters from stream_positions",
  );
  return Object.fromEntries(
    MODEL_TYPES.map((type) => {
      const own = rows.filter(({ service }) => service === type);
      return [
        type,
        Object.fromEntries(
          FALLBACK_REASONS.map((reason) => [
            reason,
            own.reduce((sum, { counters }) => sum + (counters?.[countKey("fallback", reason)] ?? 0), 0),
          ]),
        ),
      ];
    }),
  );
}
