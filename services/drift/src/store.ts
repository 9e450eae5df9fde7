import { doubles, instants, ints } from "@calibration/shared/columns.ts";
import type pg from "pg";
import type { Pool } from "pg";
import type { ClosedHour, Followed, Following } from "./core/follow.ts";
import type { Prediction } from "./predictions.ts";

/** What a batch came to for one sensor. */
export interface FollowedSensor {
  sensorId: number;
  state: Following;
  /** Null where the batch brought none that is followed. */
  last: (Followed & { timestampMs: number }) | null;
  closed: ClosedHour[];
}

/** JSON has no -Infinity, so a sensor without a reading has no row. */
export async function findFollowings(
  pool: Pick<Pool, "query">,
  sensorIds: readonly number[],
): Promise<Map<number, Following>> {
  const found = await pool.query<{ sensor_id: number; body: Following }>(
    "select sensor_id, body from sensor_drift where sensor_id = any($1::int[])",
    [sensorIds],
  );
  return new Map(found.rows.map((row) => [row.sensor_id, row.body]));
}

const HOURS = `select (extract(epoch from hour) * 1000)::float8 as "hourMs", mean, count from hourly_means where sensor_id = $1`;

/** The hours that began at an instant or later, oldest first. */
export async function findMeansSince(
  pool: Pick<Pool, "query">,
  sensorId: number,
  sinceMs: number,
): Promise<ClosedHour[]> {
  const found = await pool.query<ClosedHour>(`${HOURS} and hour >= to_timestamp($2 / 1000.0) order by hour`, [
    sensorId,
    sinceMs,
  ]);
  return found.rows;
}

/** The last hours of a period, oldest first. */
export async function findMeansBefore(
  pool: Pick<Pool, "query">,
  sensorId: number,
  sinceMs: number,
  beforeMs: number,
  hoursMax: number,
): Promise<ClosedHour[]> {
  const found = await pool.query<ClosedHour>(
    `${HOURS} and hour >= to_timestamp($2 / 1000.0) and hour < to_timestamp($3 / 1000.0) order by hour desc limit $4`,
    [sensorId, sinceMs, beforeMs, hoursMax],
  );
  return found.rows.reverse();
}

type OfPartition = FollowedSensor & { partition: number };

export async function keepSensors(transaction: pg.PoolClient, sensors: readonly OfPartition[]): Promise<void> {
  if (sensors.length === 0) return;
  const sorted = sensors.toSorted((a, b) => a.sensorId - b.sensorId);
  // Sent one behind the other; the connection carries them out in turn.
  await Promise.all([
    keepDrifts(
      transaction,
      sorted.filter((row) => row.last !== null),
    ),
    keepStates(
      transaction,
      sorted.filter((row) => row.last === null),
    ),
    keepHours(transaction, sorted),
  ]);
}

async function keepDrifts(transaction: pg.PoolClient, rows: readonly OfPartition[]): Promise<void> {
  if (rows.length === 0) return;
  await transaction.query({
    name: "keep-drift",
    text: `insert into sensor_drift (sensor_id, partition, drift, baseline, span, level, timestamp, body)
      select * from unnest($1::int[], $2::int[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::timestamptz[], $8::jsonb[])
      on conflict (sensor_id) do update set partition = excluded.partition, drift = excluded.drift, baseline = excluded.baseline,
        span = excluded.span, level = excluded.level, timestamp = excluded.timestamp, body = excluded.body`,
    values: [
      ints(rows.map((row) => row.sensorId)),
      ints(rows.map((row) => row.partition)),
      doubles(rows.map((row) => row.last!.drift)),
      doubles(rows.map((row) => row.last!.baseline)),
      doubles(rows.map((row) => row.last!.span)),
      doubles(rows.map((row) => row.state.level)),
      instants(rows.map((row) => row.last!.timestampMs)),
      rows.map((row) => JSON.stringify(row.state)),
    ],
  });
}

/** Of sensors whose drift is as it was, though they moved on. */
async function keepStates(transaction: pg.PoolClient, rows: readonly OfPartition[]): Promise<void> {
  if (rows.length === 0) return;
  await transaction.query({
    name: "keep-drift-states",
    text: `insert into sensor_drift (sensor_id, partition, level, timestamp, body)
      select * from unnest($1::int[], $2::int[], $3::float8[], $4::timestamptz[], $5::jsonb[])
      on conflict (sensor_id) do update set partition = excluded.partition, body = excluded.body`,
    values: [
      ints(rows.map((row) => row.sensorId)),
      ints(rows.map((row) => row.partition)),
      doubles(rows.map((row) => row.state.level)),
      instants(rows.map((row) => row.state.newestMs)),
      rows.map((row) => JSON.stringify(row.state)),
    ],
  });
}

async function keepHours(transaction: pg.PoolClient, rows: readonly OfPartition[]): Promise<void> {
  const hours = rows.flatMap((row) => row.closed.map((hour) => ({ sensorId: row.sensorId, ...hour })));
  if (hours.length === 0) return;
  await transaction.query({
    name: "keep-hours",
    text: `insert into hourly_means (sensor_id, hour, mean, count)
      select * from unnest($1::int[], $2::timestamptz[], $3::float8[], $4::int[])
      on conflict do nothing`,
    values: [
      ints(hours.map((hour) => hour.sensorId)),
      instants(hours.map((hour) => hour.hourMs)),
      doubles(hours.map((hour) => hour.mean)),
      ints(hours.map((hour) => hour.count)),
    ],
  });
}

export async function keepPredictions(transaction: pg.PoolClient, predictions: readonly Prediction[]): Promise<void> {
  for (const prediction of predictions) {
    await transaction.query(
      `insert into drift_predictions (sensor_id, timestamp, method, model_version, fallback_reason, baseline, current_drift, predictions)
       values ($1, to_timestamp($2 / 1000.0), $3, $4, $5, $6, $7, $8) on conflict do nothing`,
      [
        prediction.sensorId,
        prediction.timestampMs,
        prediction.method,
        prediction.modelVersion,
        prediction.fallbackReason,
        prediction.baseline,
        prediction.currentDrift,
        JSON.stringify(prediction.predictions),
      ],
    );
  }
}
