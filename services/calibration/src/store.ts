import type { CorrectionMethod } from "@calibration/models/correction.ts";
import type { Telling } from "@calibration/shared/bus.ts";
import { doubles, flags, instants, ints, words } from "@calibration/shared/columns.ts";
import { createRollup, keepRollupSql, rollupColumns } from "@calibration/shared/rollup.ts";
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
  /** One of each for a reading: held for a whole batch, columns are half of what an object for each would be. */
  timestamps: number[];
  raw: number[];
  corrected: number[];
  methods: CorrectionMethod[];
  versions: (number | null)[];
  extrapolated: boolean[];
}

const HOUR_MS = 3_600_000;

const INSERT_CORRECTED = `insert into corrected_readings (sensor_id, timestamp, raw_value, corrected_value, method, model_version, extrapolated)
    select unnest($1::int[]), unnest($2::timestamptz[]), unnest($3::float8[]), unnest($4::float8[]), unnest($5::text[]), unnest($6::int[]), unnest($7::bool[])`;

/**
 * What is new, and the hours' rollup of it, whose sums are exact decimals: the same wherever a batch began. Names what was new only where
 * something was not: nearly always all of it is.
 */
const KEEP = {
  name: "keep-corrected",
  text: `
  with kept as (
    ${INSERT_CORRECTED}
    on conflict do nothing
    returning sensor_id, timestamp, corrected_value
  ), per_hour as (${keepRollupSql(
    "corrected_per_hour",
    `select sensor_id, date_bin('1 hour', timestamp, timestamptz '2000-01-01 00:00:00Z'), min(corrected_value), max(corrected_value),
           sum(corrected_value::numeric), count(*)
      from kept group by 1, 2`,
  )}
  ), counted as (select count(*)::int as n from kept)
  select counted.n, kept.sensor_id, (extract(epoch from kept.timestamp) * 1000)::float8 as timestamp_ms
    from counted left join kept on counted.n < $8`,
};

/** The same of what is all new: PostgreSQL need neither look first nor hand it back to itself. A row costs it half. */
const KEEP_NEW = {
  name: "keep-new-corrected",
  text: `
  with kept as (
    ${INSERT_CORRECTED}
  )${keepRollupSql(
    "corrected_per_hour",
    "select * from unnest($8::int[], $9::timestamptz[], $10::float8[], $11::float8[], $12::numeric[], $13::int[])",
  )}`,
};

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
  const sensorIds: number[] = [];
  for (const { sensorId, timestamps } of messages) for (const _ of timestamps) sensorIds.push(sensorId);
  const timestamps = messages.flatMap((one) => one.timestamps);
  const corrected = messages.flatMap((one) => one.corrected);
  const values = [
    ints(sensorIds),
    instants(timestamps),
    doubles(messages.flatMap((one) => one.raw)),
    doubles(corrected),
    words(messages.flatMap((one) => one.methods)),
    ints(messages.flatMap((one) => one.versions)),
    flags(messages.flatMap((one) => one.extrapolated)),
  ];
  if (areNew) {
    const hours = createRollup(HOUR_MS);
    for (let index = 0; index < sensorIds.length; index++)
      hours.add(sensorIds[index]!, timestamps[index]!, corrected[index]!);
    await transaction.query({ ...KEEP_NEW, values: [...values, ...rollupColumns(hours.buckets())] });
    return new Set(messages);
  }
  const { rows } = await transaction.query<{ n: number; sensor_id: number; timestamp_ms: number }>({
    ...KEEP,
    values: [...values, sensorIds.length],
  });
  if (rows[0]!.n === sensorIds.length) return new Set(messages);
  if (rows[0]!.n === 0) return new Set();
  const fresh = new Set(rows.map((row) => `${row.sensor_id} ${Math.round(row.timestamp_ms)}`));
  // The first message that brought a reading is the one that is new; a repeat later in the same batch is not.
  const brought = ({ sensorId, timestamps: own }: CorrectedMessage) => {
    let isNew = false;
    for (const timestampMs of own) isNew = fresh.delete(`${sensorId} ${timestampMs}`) || isNew;
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

export function correctedTelling(message: CorrectedMessage, streamCreated: string): Telling {
  const { sensorId, site, key, sequence, isArray, traceparent, timestamps, raw, corrected } = message;
  const { methods, versions, extrapolated } = message;
  // Put together by hand, since this is the busiest subject of all: a quarter of what objects and `JSON.stringify` cost.
  const bodies: string[] = [];
  for (let index = 0; index < timestamps.length; index++)
    bodies.push(
      `{"sensor_id":${sensorId},"timestamp":"${formatInstant(timestamps[index]!)}","raw_value":${raw[index]},` +
        `"corrected_value":${corrected[index]},"method":"${methods[index]}","model_version":${versions[index]}` +
        // Said where it is so: it is rare.
        (extrapolated[index] ? ',"extrapolated":true}' : "}"),
    );
  return {
    subject: subjects.corrected(site, key),
    id: `corrected-${streamCreated}-${sequence}`,
    traceparent,
    body: isArray ? `[${bodies.join(",")}]` : bodies[0]!,
  };
}
