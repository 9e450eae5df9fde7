/**
 * The same sensor and instant is the same reading, and the first one stands. Only the whole log can tell whether there
 * was one before; what the log brought so far is in `readings`, so ingest must have passed what is asked about. Without
 * that wait a repeat was decided again whenever ingest was behind.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Pool } from "pg";
import { NotYet, type Batch } from "./hear.ts";

/** How long a batch waits for ingest before it is begun again, and how often it looks. */
const INGEST_MS_MAX = 10_000;
const INGEST_LOOK_MS = 20;

/** A reading by its instant and its place in the log. */
export interface Placed {
  sensorId: number;
  timestampMs: number;
  sequence: number;
}

export const nameOf = ({ sensorId, timestampMs, sequence }: Placed): string => `${sequence} ${sensorId} ${timestampMs}`;

/**
 * The names of those of which a reading of the same instant came in an earlier message.
 * @param placed in the order of the log
 * @throws NotYet where ingest is too far behind to tell
 */
export async function findRepeats(
  pool: Pick<Pool, "query">,
  { partition, streamCreated }: Pick<Batch, "partition" | "streamCreated">,
  placed: readonly Placed[],
): Promise<Set<string>> {
  const last = placed.at(-1);
  if (last === undefined) return new Set();
  for (const untilMs = performance.now() + INGEST_MS_MAX; ; await pause(INGEST_LOOK_MS)) {
    if ((await ingestStandsAt(pool, partition, streamCreated)) >= last.sequence) break;
    if (performance.now() > untilMs)
      throw new NotYet(`ingest has not come to ${last.sequence} of partition ${partition}`);
  }
  const found = await pool.query<{ n: number }>(
    `select (u.n - 1)::int as n
       from unnest($1::int[], $2::float8[], $3::int8[]) with ordinality as u(s, t, q, n)
       join readings r on r.sensor_id = u.s and r.timestamp = to_timestamp(u.t / 1000.0) and r.stream_sequence < u.q`,
    [placed.map((one) => one.sensorId), placed.map((one) => one.timestampMs), placed.map((one) => one.sequence)],
  );
  return new Set(found.rows.map(({ n }) => nameOf(placed[n]!)));
}

/** Where ingest stands in the partition: up to there `readings` is complete. */
async function ingestStandsAt(pool: Pick<Pool, "query">, partition: number, streamCreated: string): Promise<number> {
  const found = await pool.query<{ kept: number }>(
    "select kept from stream_positions where service = 'ingest' and partition = $1 and stream_created = $2",
    [partition, streamCreated],
  );
  return found.rows[0]?.kept ?? 0;
}
