import type { Corrected } from "@calibration/models/correction.ts";
import type { Telling } from "@calibration/shared/bus.ts";
import { doubles, flags, instants, ints, words } from "@calibration/shared/columns.ts";
import { formatInstant } from "@calibration/shared/reading.ts";
import { subjects } from "@calibration/shared/topology.ts";
import type pg from "pg";

export interface CorrectedMessage {
  sensorId: number;
  site: string;
  key: string;
  sequence: number;
  isArray: boolean;
  traceparent: string | null;
  readings: ({ timestampMs: number; rawValue: number } & Corrected)[];
}

/**
 * What is new, and the hours' rollup of it, whose sums are exact decimals: the same wherever a batch began. Names what was new only where
 * something was not: nearly always all of it is.
 */
const keepSql = (onConflict: string) => `
  with kept as (
    insert into corrected_readings (sensor_id, timestamp, raw_value, corrected_value, method, model_version, extrapolated)
    select s, t, v, c, m, n, e
      from unnest($1::int[], $2::timestamptz[], $3::float8[], $4::float8[], $5::text[], $6::int[], $7::bool[]) as u(s, t, v, c, m, n, e)
    ${onConflict}
    returning sensor_id, timestamp, corrected_value
  ), per_hour as (
    insert into corrected_per_hour as p (sensor_id, bucket, min, max, sum, count)
    select sensor_id, date_bin('1 hour', timestamp, timestamptz '2000-01-01 00:00:00Z'), min(corrected_value), max(corrected_value),
           sum(corrected_value::numeric), count(*)
      from kept group by 1, 2 order by 1, 2
    on conflict (sensor_id, bucket) do update set min = least(p.min, excluded.min), max = greatest(p.max, excluded.max),
      sum = p.sum + excluded.sum, count = p.count + excluded.count
  ), counted as (select count(*)::int as n from kept)
  select counted.n, kept.sensor_id, (extract(epoch from kept.timestamp) * 1000)::float8 as timestamp_ms
    from counted left join kept on counted.n < $8`;

const KEEP = { name: "keep-corrected", text: keepSql("on conflict do nothing") };
/** Where PostgreSQL need not look first, a row costs it three fifths. */
const KEEP_NEW = { name: "keep-new-corrected", text: keepSql("") };

/**
 * Those of the messages that brought at least one reading that was not corrected before.
 * @param areNew none was corrected before, and none is there twice
 */
export async function keepCorrected(
  transaction: pg.PoolClient,
  messages: readonly CorrectedMessage[],
  areNew: boolean,
): Promise<Set<CorrectedMessage>> {
  if (messages.length === 0) return new Set();
  const [sensorIds, timestamps, raw, corrected, versions]: [number[], number[], number[], number[], (number | null)[]] =
    [[], [], [], [], []];
  const methods: string[] = [];
  const extrapolated: boolean[] = [];
  for (const { sensorId, readings } of messages) {
    for (const reading of readings) {
      sensorIds.push(sensorId);
      timestamps.push(reading.timestampMs);
      raw.push(reading.rawValue);
      corrected.push(reading.correctedValue);
      methods.push(reading.method);
      versions.push(reading.modelVersion);
      extrapolated.push(reading.extrapolated);
    }
  }
  const { rows } = await transaction.query<{ n: number; sensor_id: number; timestamp_ms: number }>({
    ...(areNew ? KEEP_NEW : KEEP),
    values: [
      ints(sensorIds),
      instants(timestamps),
      doubles(raw),
      doubles(corrected),
      words(methods),
      ints(versions),
      flags(extrapolated),
      sensorIds.length,
    ],
  });
  if (rows[0]!.n === sensorIds.length) return new Set(messages);
  if (rows[0]!.n === 0) return new Set();
  const fresh = new Set(rows.map((row) => `${row.sensor_id} ${Math.round(row.timestamp_ms)}`));
  // The first message that brought a reading is the one that is new; a repeat later in the same batch is not.
  const brought = ({ sensorId, readings }: CorrectedMessage) => {
    let isNew = false;
    for (const { timestampMs } of readings) isNew = fresh.delete(`${sensorId} ${timestampMs}`) || isNew;
    return isNew;
  };
  return new Set(messages.filter(brought));
}

/** The newest corrected reading of those sensors that have one, in milliseconds. */
export async function findNewestCorrected(
  pool: Pick<pg.Pool, "query">,
  sensorIds: readonly number[],
): Promise<Map<number, number>> {
  const { rows } = await pool.query<{ sensor_id: number; newest: Date | null }>({
    name: "find-newest-corrected",
    text: `select s as sensor_id, (select max(timestamp) from corrected_readings where sensor_id = s) as newest
      from unnest($1::int[]) as s`,
    values: [ints(sensorIds)],
  });
  return new Map(rows.flatMap((row) => (row.newest === null ? [] : [[row.sensor_id, row.newest.getTime()]])));
}

/** The newest bad reading of those sensors that ever had one, in milliseconds. */
export async function findNewestBad(
  pool: Pick<pg.Pool, "query">,
  sensorIds: readonly number[],
): Promise<Map<number, number>> {
  const found = await pool.query<{ sensor_id: number; newest_ms: number }>(
    `select sensor_id, (extract(epoch from newest_bad) * 1000)::float8 as newest_ms
       from correction_state where sensor_id = any($1::int[])`,
    [sensorIds],
  );
  return new Map(found.rows.map((row) => [row.sensor_id, Math.round(row.newest_ms)]));
}

export async function keepNewestBad(transaction: pg.PoolClient, newestMs: ReadonlyMap<number, number>): Promise<void> {
  if (newestMs.size === 0) return;
  const rows = [...newestMs].toSorted(([a], [b]) => a - b);
  await transaction.query({
    name: "keep-newest-bad",
    text: `insert into correction_state (sensor_id, newest_bad)
      select * from unnest($1::int[], $2::timestamptz[])
      on conflict (sensor_id) do update set newest_bad = excluded.newest_bad`,
    values: [ints(rows.map(([sensorId]) => sensorId)), instants(rows.map(([, ms]) => ms))],
  });
}

export function correctedTelling(
  { sensorId, site, key, sequence, isArray, traceparent, readings }: CorrectedMessage,
  streamCreated: string,
): Telling {
  // Put together by hand, since this is the busiest subject of all: a quarter of what objects and `JSON.stringify` cost.
  const bodies = readings.map(
    ({ timestampMs, rawValue, correctedValue, method, modelVersion, extrapolated }) =>
      `{"sensor_id":${sensorId},"timestamp":"${formatInstant(timestampMs)}","raw_value":${rawValue},` +
      `"corrected_value":${correctedValue},"method":"${method}","model_version":${modelVersion}` +
      // Said where it is so: it is rare.
      (extrapolated ? ',"extrapolated":true}' : "}"),
  );
  return {
    subject: subjects.corrected(site, key),
    id: `corrected-${streamCreated}-${sequence}`,
    traceparent,
    body: isArray ? `[${bodies.join(",")}]` : bodies[0]!,
  };
}
