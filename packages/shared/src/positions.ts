/**
 * Where a service stands in each partition: one row of `stream_positions`, compared and set in the transaction that keeps
 * what the batch came to. Whoever finds another position than it read has lost the partition.
 */
import type pg from "pg";
import { readingsStream, type Bus, type Telling } from "./bus.ts";
import { bigInts, flags, ints } from "./columns.ts";
import type { Counts } from "./metrics.ts";

export interface Position {
  kept: number;
  snapshot: number;
}

/** What may not have been told yet: whole, or the messages that it came of. */
export type Untold = readonly Telling[] | { tellsOf: readonly number[] };

export interface Begun extends Position {
  attempts: number;
  counters: Counts;
  untold: Untold;
  fresh: boolean;
}

/** The position that was read, as it must still stand. */
export interface Held {
  partition: number;
  streamCreated: string;
  kept: number;
}

/** The position that a batch comes to. */
export interface Moved {
  partition: number;
  kept: number;
  untold: Untold;
  counters: Counts;
  /** The large state was written too. */
  snapshot: boolean;
}

/** Trouble for which nobody is to blame but the moment: another replica has the partition. */
export class PositionLost extends Error {}

/** Where the partition is to be gone on with. */
export async function findPosition(
  bus: Bus,
  pool: pg.Pool,
  service: string,
  partition: number,
  { created, lastSequence }: Awaited<ReturnType<typeof readingsStream>>,
): Promise<Begun> {
  const found = await pool.query<Begun & { stream_created: string }>(
    `insert into stream_positions as p (service, partition, stream_created, kept, told, snapshot, attempts, untold, counters)
     values ($1, $2, $3, 0, 0, 0, 0, '[]', '{}')
     on conflict (service, partition) do update set attempts = p.attempts
     returning kept, snapshot, attempts, untold, counters, stream_created, xmax = 0 as fresh`,
    [service, partition, created],
  );
  const row = found.rows[0]!;
  if (row.stream_created === created && row.kept <= lastSequence) return row;
  // Between the look at the stream and the look at the position another replica may have gone on, beyond the end we saw.
  const now = await readingsStream(bus);
  if (row.stream_created === now.created && row.kept <= now.lastSequence) return row;
  // The stream was made anew: its sequences begin again, and so do we. What was kept stays kept.
  await pool.query(
    `update stream_positions set stream_created = $3, kept = 0, told = 0, snapshot = 0, attempts = 0
      where service = $1 and partition = $2`,
    [service, partition, created],
  );
  const untold = "tellsOf" in row.untold ? [] : row.untold;
  return { kept: 0, snapshot: 0, attempts: 0, untold, counters: row.counters, fresh: true };
}

/** Counts that a batch was begun, before it is, so that one that ends the process again and again is noticed. */
export async function countAttempt(pool: pg.Pool, service: string, partition: number): Promise<number> {
  const { rows } = await pool.query<{ attempts: number }>(
    "update stream_positions set attempts = attempts + 1 where service = $1 and partition = $2 returning attempts",
    [service, partition],
  );
  return rows[0]!.attempts;
}

/** Broken connections are no fault of the batch that met them. */
export async function forgiveAttempt(pool: pg.Pool, service: string, partition: number, kept: number): Promise<void> {
  await pool
    .query(
      "update stream_positions set attempts = greatest(attempts - 1, 0) where service = $1 and partition = $2 and kept = $3",
      [service, partition, kept],
    )
    .catch(() => undefined);
}

/** What the last batch came to is told. */
export async function markTold(pool: pg.Pool, service: string, partition: number, kept: number): Promise<void> {
  await pool.query(
    "update stream_positions set told = kept, untold = '[]' where service = $1 and partition = $2 and kept = $3",
    [service, partition, kept],
  );
}

/** Locks the positions, always in the same order. Fails, and with it the transaction, where one is not as it was read. */
export async function holdPositions(
  transaction: pg.PoolClient,
  service: string,
  positions: readonly Held[],
): Promise<void> {
  try {
    await transaction.query({
      name: "hold-positions",
      text: `select 1 / (count(*) = cardinality($2::int[]))::int from (
        select 1 from stream_positions p
          join unnest($2::int[], $3::int8[], $4::text[]) as u(partition, kept, created)
            on p.partition = u.partition and p.kept = u.kept and p.stream_created = u.created
         where p.service = $1 order by p.partition for update of p) as ours`,
      values: [
        service,
        ints(positions.map(({ partition }) => partition)),
        bigInts(positions.map(({ kept }) => kept)),
        positions.map(({ streamCreated }) => streamCreated),
      ],
    });
  } catch (error) {
    if ((error as { code?: unknown }).code !== DIVISION_BY_ZERO) throw error;
    const which = positions.map(({ partition, kept }) => `partition ${partition} at ${kept}`).join(", ");
    throw new PositionLost(`not as it was read: ${which}; another replica has it`, { cause: error });
  }
}

const DIVISION_BY_ZERO = "22012";

export async function movePositions(
  transaction: pg.PoolClient,
  service: string,
  moved: readonly Moved[],
): Promise<void> {
  await transaction.query({
    name: "move-positions",
    text: `update stream_positions p set told = p.kept, kept = u.kept, untold = u.untold, counters = u.counters, attempts = 0,
       snapshot = case when u.snapshot then u.kept else p.snapshot end
      from unnest($2::int[], $3::int8[], $4::jsonb[], $5::jsonb[], $6::bool[]) as u(partition, kept, untold, counters, snapshot)
      where p.service = $1 and p.partition = u.partition`,
    values: [
      service,
      ints(moved.map(({ partition }) => partition)),
      bigInts(moved.map(({ kept }) => kept)),
      moved.map(({ untold }) => JSON.stringify(untold)),
      moved.map(({ counters }) => JSON.stringify(counters)),
      flags(moved.map(({ snapshot }) => snapshot)),
    ],
  });
}
