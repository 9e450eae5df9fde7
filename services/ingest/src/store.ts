import type { Telling } from "@calibration/shared/bus.ts";
import { deadLetterTelling, type DeadLetter } from "@calibration/shared/dead-letters.ts";
import type { Heard } from "@calibration/shared/hear.ts";
import type { Reading } from "@calibration/shared/reading.ts";
import { bigInts, doubles, instants, ints, smallInts } from "@calibration/shared/columns.ts";
import { createRollup, keepRollupSql, rollupColumns } from "@calibration/shared/rollup.ts";
import type pg from "pg";

const QUALITY_CODE = { good: 0, uncertain: 1, bad: 2 } as const;

interface Latest {
  /** Of the first of its readings; the oldest, where they rise. */
  firstMs: number;
  /** Each was newer than the one before. */
  isRising: boolean;
  timestampMs: number;
  receivedMs: number;
  valueAtMs: number | null;
  value: number | null;
  /** How many readings of it there are. */
  readings: number;
}

export type Gathering = ReturnType<typeof createGathering>;

/** The columns of a batch, in the order the readings came, and the newest of each sensor. */
export function createGathering() {
  const sensorIds: number[] = [];
  const timestamps: number[] = [];
  const values: number[] = [];
  const qualities: number[] = [];
  const sequences: number[] = [];
  const received: number[] = [];
  const latest = new Map<number, Latest>();
  const begin = (sensorId: number, { timestampMs }: Reading): Latest => {
    const begun = {
      firstMs: timestampMs,
      isRising: true,
      timestampMs: -Infinity,
      receivedMs: 0,
      valueAtMs: null,
      value: null,
      readings: 0,
    };
    latest.set(sensorId, begun);
    return begun;
  };
  return {
    add(sensorId: number, reading: Reading, message: Heard) {
      sensorIds.push(sensorId);
      timestamps.push(reading.timestampMs);
      values.push(reading.value);
      qualities.push(QUALITY_CODE[reading.quality]);
      sequences.push(message.sequence);
      received.push(message.storedMs);
      const newest = latest.get(sensorId) ?? begin(sensorId, reading);
      newest.readings++;
      if (reading.timestampMs > newest.timestampMs) {
        newest.timestampMs = reading.timestampMs;
        newest.receivedMs = message.storedMs;
      } else newest.isRising = false;
      // The first value of a timestamp stands, so only a newer one takes its place.
      if (reading.quality !== "bad" && (newest.valueAtMs === null || reading.timestampMs > newest.valueAtMs)) {
        newest.valueAtMs = reading.timestampMs;
        newest.value = reading.value;
      }
    },
    count: () => sensorIds.length,
    timestamps: () => timestamps,
    has: (sensorId: number) => latest.has(sensorId),
    columns: () => [sensorIds, timestamps, values, qualities, sequences, received],
    latest: (): ReadonlyMap<number, Latest> => latest,
  };
}

/** PostgreSQL's own epoch: buckets begin at whole minutes and hours of UTC. */
const BUCKETS_FROM = "timestamptz '2000-01-01 00:00:00Z'";
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const INSERT_READINGS = `insert into readings (sensor_id, timestamp, raw_value, quality, stream_sequence, received_at)
    select unnest($1::int[]), unnest($2::timestamptz[]), unnest($3::float8[]), unnest($4::int2[]), unnest($5::int8[]), unnest($6::timestamptz[])`;

const keepLatestSql = (from: string) => `
    insert into sensor_latest as l (sensor_id, timestamp, raw_value, value_at, received_at, readings)
    ${from}
    on conflict (sensor_id) do update set
      received_at = case when excluded.timestamp > l.timestamp then excluded.received_at else l.received_at end,
      timestamp = greatest(l.timestamp, excluded.timestamp),
      raw_value = case when l.value_at is null or excluded.value_at > l.value_at then excluded.raw_value else l.raw_value end,
      value_at = greatest(l.value_at, excluded.value_at),
      readings = l.readings + excluded.readings`;

/**
 * One statement: the readings that are new, and what follows from them alone. The rollups' sums are exact decimals, so
 * they come out the same wherever a batch began. It says of which sensors how many were new only where not all were.
 */
const KEEP = {
  name: "keep-readings",
  text: `
  with kept as (
    ${INSERT_READINGS}
    on conflict do nothing
    returning sensor_id, timestamp, raw_value, quality
  ), minutes as materialized (
    select sensor_id, date_bin('1 minute', timestamp, ${BUCKETS_FROM}) as bucket,
        min(raw_value) as min, max(raw_value) as max, sum(raw_value::numeric) as sum, count(*)::int as count
      from kept where quality < 2 group by 1, 2
  ), per_minute as (${keepRollupSql("readings_per_minute", "select sensor_id, bucket, min, max, sum, count from minutes")}
  ), per_hour as (${keepRollupSql(
    "readings_per_hour",
    `select sensor_id, date_bin('1 hour', bucket, ${BUCKETS_FROM}), min(min), max(max), sum(sum), sum(count)
      from minutes group by 1, 2`,
  )}
  ), by_sensor as materialized (
    select sensor_id, count(*)::int as n from kept group by 1
  ), latest as (${keepLatestSql(`select u.s, u.t, u.v, u.a, u.r, coalesce(k.n, 0)
      from unnest($7::int[], $8::timestamptz[], $9::float8[], $10::timestamptz[], $11::timestamptz[]) as u(s, t, v, a, r)
      left join by_sensor k on k.sensor_id = u.s`)}
  ), counted as (select coalesce(sum(n), 0)::int as all_kept from by_sensor)
  select all_kept, sensor_id, n from counted left join by_sensor on all_kept < $12`,
};

/**
 * The same of readings that are all new: PostgreSQL need neither look first nor hand them back to itself, since what follows
 * from them is known here. A row costs it half.
 */
const KEEP_NEW = {
  name: "keep-new-readings",
  text: `
  with kept as (
    ${INSERT_READINGS}
  ), per_minute as (${keepRollupSql(
    "readings_per_minute",
    "select * from unnest($13::int[], $14::timestamptz[], $15::float8[], $16::float8[], $17::numeric[], $18::int[])",
  )}
  ), per_hour as (${keepRollupSql(
    "readings_per_hour",
    "select * from unnest($19::int[], $20::timestamptz[], $21::float8[], $22::float8[], $23::numeric[], $24::int[])",
  )}
  )${keepLatestSql(
    "select * from unnest($7::int[], $8::timestamptz[], $9::float8[], $10::timestamptz[], $11::timestamptz[], $12::int8[])",
  )}`,
};

/** As a gathering has them. */
const COLUMNS = [ints, instants, doubles, smallInts, bigInts, instants];

/**
 * Returns how many of each batch were new; the others are repeats.
 * @param areNew none of them was kept before, and none is there twice
 */
export async function keepReadings(
  transaction: pg.PoolClient,
  gatherings: readonly Gathering[],
  areNew: boolean,
): Promise<number[]> {
  const total = gatherings.reduce((sum, one) => sum + one.count(), 0);
  if (total === 0) return gatherings.map(() => 0);
  const all = gatherings.map((one) => one.columns());
  const columns = COLUMNS.map((_, column) => (all.length === 1 ? all[0]![column]! : all.flatMap((of) => of[column]!)));
  const latest = gatherings.flatMap((one) => [...one.latest()]).toSorted(([a], [b]) => a - b);
  const values = [
    ...COLUMNS.map((columnOf, column) => columnOf(columns[column]!)),
    ints(latest.map(([sensorId]) => sensorId)),
    instants(latest.map(([, one]) => one.timestampMs)),
    doubles(latest.map(([, one]) => one.value)),
    instants(latest.map(([, one]) => one.valueAtMs)),
    instants(latest.map(([, one]) => one.receivedMs)),
  ];
  if (areNew) {
    await transaction.query({
      ...KEEP_NEW,
      values: [...values, bigInts(latest.map(([, one]) => one.readings)), ...rollupsOf(columns)],
    });
    return gatherings.map((one) => one.count());
  }
  const { rows } = await transaction.query<{ all_kept: number; sensor_id: number; n: number }>({
    ...KEEP,
    values: [...values, total],
  });
  if (rows[0]!.all_kept === total) return gatherings.map((one) => one.count());
  if (rows[0]!.all_kept === 0) return gatherings.map(() => 0);
  return gatherings.map((one) => rows.reduce((sum, { sensor_id: id, n }) => (one.has(id) ? sum + n : sum), 0));
}

/** The minutes and hours of readings that are not bad, as columns. */
function rollupsOf([sensorIds, timestamps, values, qualities]: readonly (readonly number[])[]): (Buffer | string)[] {
  const minutes = createRollup(MINUTE_MS);
  for (let index = 0; index < sensorIds!.length; index++)
    if (qualities![index] !== QUALITY_CODE.bad) minutes.add(sensorIds![index]!, timestamps![index]!, values![index]!);
  const hours = createRollup(HOUR_MS);
  for (const minute of minutes.buckets()) hours.merge(minute);
  return [...rollupColumns(minutes.buckets()), ...rollupColumns(hours.buckets())];
}

/** The newest reading kept of those sensors that have one, in milliseconds. */
export async function findNewest(
  pool: Pick<pg.Pool, "query">,
  sensorIds: readonly number[],
): Promise<Map<number, number>> {
  const { rows } = await pool.query<{ sensor_id: number; timestamp: Date }>({
    name: "find-newest",
    text: "select sensor_id, timestamp from sensor_latest where sensor_id = any($1::int[])",
    values: [ints(sensorIds)],
  });
  return new Map(rows.map((row) => [row.sensor_id, row.timestamp.getTime()]));
}

/** Keeps dead letters whole and returns what is to be said of those that are new. */
export async function keepDeadLetters(
  transaction: pg.PoolClient,
  letters: readonly DeadLetter[],
  streamCreated: string,
): Promise<Telling[]> {
  const inserted = await transaction.query<{ id: number; stream_sequence: number; element_index: number }>({
    name: "keep-dead-letters",
    text: `insert into dead_letters (subject, site, key, reason, detail, payload, stream_sequence, element_index, stream_created, received_at)
      select subject, site, key, reason, detail, payload, sequence, index, $9, received
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::int8[], $8::int[], $10::timestamptz[])
          with ordinality as u(subject, site, key, reason, detail, payload, sequence, index, received, place)
       order by place
      on conflict do nothing returning id, stream_sequence, element_index`,
    values: [
      letters.map((letter) => letter.subject),
      letters.map((letter) => letter.site),
      letters.map((letter) => letter.key),
      letters.map((letter) => letter.reason),
      letters.map((letter) => letter.detail),
      letters.map((letter) => Buffer.from(letter.payload)),
      letters.map((letter) => letter.sequence),
      letters.map((letter) => letter.index),
      streamCreated,
      instants(letters.map((letter) => letter.receivedMs)),
    ],
  });
  const ids = new Map(inserted.rows.map((row) => [`${row.stream_sequence} ${row.element_index}`, row.id]));
  return letters.flatMap((letter) => {
    const id = ids.get(`${letter.sequence} ${letter.index}`);
    return id === undefined ? [] : [deadLetterTelling(id, letter, streamCreated)];
  });
}
