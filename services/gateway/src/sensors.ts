/** A sensor as REST shows it: what was said of it, and what the services found out, in one query. */
import { driftOf } from "@calibration/models/drift-percent.ts";
import {
  observedPerMonth,
  promisedAlarmsPerMonth,
  thetaForBudget,
  type AlarmsSeen,
} from "@calibration/models/false-alarm-budget.ts";
import type { Attended } from "@calibration/shared/attention.ts";
import {
  offlineAfterMs,
  SETTINGS_DEFAULTS,
  type SensorBody,
  type SensorSettings,
  type SensorStatus,
} from "@calibration/shared/sensor.ts";
import type pg from "pg";
import type { Identity } from "./auth.ts";
import { Problem } from "./problem.ts";

export interface SensorRow {
  id: number;
  key: string;
  site: string;
  name: string;
  type: SensorBody["type"];
  unit: string;
  range_min: number | null;
  range_max: number | null;
  expected_interval_s: number | null;
  baseline: number | null;
  settings: Partial<SensorSettings>;
  created_at: Date;
  value: number | null;
  newest: Date | null;
  readings: number | null;
  drift: number | null;
  measured_baseline: number | null;
  span: number | null;
  last_means: number[] | null;
  open_sum: number | null;
  open_count: number | null;
  learning: { stage: string; readings: number; of: number } | null;
  alarms_seen: AlarmsSeen | null;
  learnt_interval_s: number | null;
  alarms: number;
  grave_alarms: number;
  open_anomalies: number;
  novelty_alarms: number;
  watched_days: number | null;
  last_calibrated_at: Date | null;
}

/** Alarms of so many days, by the sensor's own clock, are held against its budget. */
const BUDGET_DAYS = 30;

export const SENSOR_COLUMNS = `
  s.*, l.raw_value as value, l.timestamp as newest, l.readings, d.drift, d.baseline as measured_baseline, d.span,
  d.body->'last' as last_means, (d.body->'open'->>'sum')::float8 as open_sum, (d.body->'open'->>'count')::float8 as open_count,
  st.learning, st.learnt_interval_s, st.alarms_seen, coalesce(a.alarms, 0)::int as alarms, coalesce(a.grave, 0)::int as grave_alarms,
  coalesce(a.open, 0)::int as open_anomalies, coalesce(n.alarms, 0)::int as novelty_alarms, n.days as watched_days,
  (select max(applied_at) from calibrations where sensor_id = s.id) as last_calibrated_at`;
export const SENSOR_JOINS = `
  left join sensor_latest l on l.sensor_id = s.id
  left join sensor_drift d on d.sensor_id = s.id
  left join sensor_status st on st.sensor_id = s.id
  left join lateral (
    select count(*) as open, count(*) filter (where alarm) as alarms, count(*) filter (where alarm and severity in ('High', 'Critical')) as grave
      from anomalies where sensor_id = s.id and not resolved) a on true
  left join lateral (
    select (select count(*) from anomalies where sensor_id = s.id and alarm and method = 'novelty'
               and timestamp > l.timestamp - make_interval(days => ${BUDGET_DAYS})) as alarms,
           (select extract(epoch from l.timestamp - min(bucket)) / 86400 from readings_per_hour where sensor_id = s.id
               and bucket > l.timestamp - make_interval(days => ${BUDGET_DAYS}))::float8 as days) n on true`;
export const SENSOR_QUERY = `select ${SENSOR_COLUMNS} from sensors s ${SENSOR_JOINS}`;

/** What a status rests on, and no more: it is asked for every few seconds. */
type StatusRow = Pick<
  SensorRow,
  | "id"
  | "newest"
  | "readings"
  | "expected_interval_s"
  | "learnt_interval_s"
  | "alarms"
  | "grave_alarms"
  | "drift"
  | "baseline"
  | "span"
  | "last_means"
  | "open_sum"
  | "open_count"
>;
const statusQuery = (named: string) => `
  select ${named}, s.expected_interval_s, s.baseline, l.timestamp as newest, l.readings, st.learnt_interval_s, d.drift, d.span,
         case when s.baseline is not null then d.body->'last' end as last_means,
         case when s.baseline is not null then (d.body->'open'->>'sum')::float8 end as open_sum,
         case when s.baseline is not null then (d.body->'open'->>'count')::float8 end as open_count,
         coalesce(a.alarms, 0)::int as alarms, coalesce(a.grave, 0)::int as grave_alarms
    from sensors s
    left join sensor_latest l on l.sensor_id = s.id
    left join sensor_drift d on d.sensor_id = s.id
    left join sensor_status st on st.sensor_id = s.id
    left join (
      select sensor_id, count(*) as alarms, count(*) filter (where severity in ('High', 'Critical')) as grave
        from anomalies where not resolved and alarm group by 1) a on a.sensor_id = s.id`;
const STATUS_QUERY = statusQuery("s.id");
const ATTENTION_QUERY = statusQuery("s.id, s.name, s.key, s.site, s.type");

/** So many sensors are read at once: 10 000 of them in one answer took 200 MB. */
const SLICE_SENSORS = 500;
/** Of what a status rests on, which is little: 10 000 take a third of the time that they take by the slice above. */
const SLICE_STATUSES = 2_500;

async function* inSlices<R extends { id: number }>(
  pool: Pick<pg.Pool, "query">,
  query: string,
  sites: string[] | null,
  size: number,
): AsyncGenerator<R[]> {
  for (let last = 0; ;) {
    const { rows } = await pool.query<R>(
      `${query} where s.id > $1 and ($2::text[] is null or s.site = any($2)) order by s.id limit $3`,
      [last, sites, size],
    );
    if (rows.length > 0) yield rows;
    if (rows.length < size) return;
    last = rows.at(-1)!.id;
  }
}

/** All sensors of these sites, or of all, a slice at a time. */
export const sensorsInSlices = (pool: Pick<pg.Pool, "query">, sites: string[] | null): AsyncGenerator<SensorRow[]> =>
  inSlices(pool, SENSOR_QUERY, sites, SLICE_SENSORS);

/** Every sensor with its status now. */
export async function* statuses(pool: Pick<pg.Pool, "query">): AsyncGenerator<{ id: number; status: SensorStatus }> {
  for await (const rows of inSlices<StatusRow>(pool, STATUS_QUERY, null, SLICE_STATUSES))
    for (const row of rows) yield { id: row.id, status: statusOf(row, driftNow(row), Date.now()) };
}

/** All sensors of these sites, or of all, with what tells which of them need somebody. */
export async function findAttended(pool: Pick<pg.Pool, "query">, sites: string[] | null): Promise<Attended[]> {
  const found: Attended[] = [];
  type Row = StatusRow & Pick<SensorRow, "name" | "key" | "site" | "type">;
  for await (const rows of inSlices<Row>(pool, ATTENTION_QUERY, sites, SLICE_STATUSES)) {
    for (const row of rows) {
      const { id, name, key, site, type } = row;
      const drift = driftNow(row);
      found.push({
        id,
        name,
        key,
        site,
        type,
        drift,
        open_alarms: row.alarms,
        status: statusOf(row, drift, Date.now()),
      });
    }
  }
  return found;
}

/** These sensors, in this order; one that is gone meanwhile is left out. */
export async function findSensors(pool: Pick<pg.Pool, "query">, ids: readonly number[]): Promise<SensorAnswer[]> {
  const { rows } = await pool.query<SensorRow>(`${SENSOR_QUERY} where s.id = any($1::int[])`, [ids]);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []).map((row) => sensorBody(row));
}

const SENSOR_ID_MAX = 2 ** 31 - 1;
/** |drift| from which a sensor is in warning, percent. */
const DRIFT_WARNING = 5;
/** A drift of fewer readings would be noise. */
const READINGS_FOR_DRIFT = 10;
const HOURS = 24;

export function sensorBody(row: SensorRow, nowMs = Date.now()) {
  const drift = driftNow(row);
  return {
    id: row.id,
    key: row.key,
    site: row.site,
    name: row.name,
    type: row.type,
    value: row.value,
    unit: row.unit,
    status: statusOf(row, drift, nowMs),
    last_updated: row.newest?.toISOString() ?? null,
    drift,
    baseline: row.baseline ?? row.measured_baseline,
    baseline_given: row.baseline,
    range_min: row.range_min,
    range_max: row.range_max,
    expected_interval_s: row.expected_interval_s,
    learning: row.learning ?? null,
    false_alarms: falseAlarms(row),
    settings: { ...SETTINGS_DEFAULTS, ...row.settings },
    created_at: row.created_at.toISOString(),
    open_alarms: row.alarms,
    open_anomalies: row.open_anomalies,
    last_calibrated_at: row.last_calibrated_at?.toISOString() ?? null,
  };
}

/** What the sensor's budget promises, by what the detector was measured at and by the sensor's own history, and what it did. */
function falseAlarms(row: SensorRow) {
  const budget = row.settings.false_alarms_per_month ?? SETTINGS_DEFAULTS.false_alarms_per_month;
  const seen = row.alarms_seen ?? undefined;
  const threshold = thetaForBudget(budget, seen);
  const days = Math.max(0, row.watched_days ?? 0);
  return {
    budget_per_month: budget,
    threshold,
    promised_per_month: promisedAlarmsPerMonth(threshold, seen),
    observed_per_month: observedPerMonth(row.novelty_alarms, days),
    alarms: row.novelty_alarms,
    days,
    own_history_days: seen?.days ?? 0,
  };
}

export type SensorAnswer = ReturnType<typeof sensorBody>;

/** A baseline that a person set counts at once, not from the next reading on. */
function driftNow(row: StatusRow): number | null {
  if (
    row.drift === null ||
    row.baseline === null ||
    row.last_means === null ||
    (row.readings ?? 0) < READINGS_FOR_DRIFT
  )
    return row.drift;
  const open = row.open_sum === null || row.open_count === null ? [] : [row.open_sum / row.open_count];
  return driftOf([...row.last_means, ...open].slice(-HOURS), row.baseline, row.span ?? 0);
}

function statusOf(row: StatusRow, drift: number | null, nowMs: number): SensorStatus {
  if (
    row.newest === null ||
    nowMs - row.newest.getTime() > offlineAfterMs(row.expected_interval_s, row.learnt_interval_s)
  )
    return "offline";
  if (row.grave_alarms > 0) return "critical";
  return row.alarms > 0 || Math.abs(drift ?? 0) >= DRIFT_WARNING ? "warning" : "online";
}

/** The sensor, for someone who may see its site. Throws `not_found`. */
export async function findSensor(
  pool: Pick<pg.Pool, "query">,
  id: number,
  identity: Pick<Identity, "sites">,
): Promise<SensorRow> {
  const { rows } =
    Number.isInteger(id) && id > 0 && id <= SENSOR_ID_MAX
      ? await pool.query<SensorRow>(`${SENSOR_QUERY} where s.id = $1`, [id])
      : { rows: [] };
  const [row] = rows;
  if (row === undefined || !maySee(identity, row.site)) throw new Problem("not_found", `there is no sensor ${id}`);
  return row;
}

export const maySee = ({ sites }: Pick<Identity, "sites">, site: string): boolean =>
  sites === null || sites.includes(site);

/** What a sensor is, as its versions keep it and every service reads it. */
export const bodyToKeep = (row: SensorRow): SensorBody => ({
  name: row.name,
  type: row.type,
  unit: row.unit,
  range_min: row.range_min,
  range_max: row.range_max,
  expected_interval_s: row.expected_interval_s,
  baseline: row.baseline,
  settings: { ...SETTINGS_DEFAULTS, ...row.settings },
});
