/**
 * One transaction for the batches of several partitions. A batch that is decided while a transaction is under way waits
 * for its end, and goes into the next one with all others that are ready by then: where messages come one by one, a
 * thousand of them a second over 16 partitions need a few hundred transactions and not a thousand. Full batches gain
 * nothing by it, and go side by side.
 *
 *   partition 3: decided ─┐                     ┌─▶ told
 *   partition 7: decided ─┼─▶ [ positions still ours? · keep all · new positions ] ─┼─▶ told
 *   partition 9: decided ─┘                     └─▶ told
 *
 * Together they are kept or not at all. Where that fails for a reason that may be one's own (a position that another
 * replica has, a row that PostgreSQL refuses) each is tried again by itself, so that nobody fails for another's sake.
 */
import type pg from "pg";
import { inPipelinedTransaction, isDatabaseTrouble } from "./database.ts";
import type { Batch, Kept } from "./hear.ts";
import type { Counts } from "./metrics.ts";
import { holdPositions, movePositions } from "./positions.ts";

/** What was decided of one partition's batch. */
export interface Decision<Decided> {
  batch: Batch;
  decided: Decided;
}

/** Writes what was decided, and says of each in its order what came of it. It may be asked again for the same. */
export type Keep<Decided> = (transaction: pg.PoolClient, decisions: readonly Decision<Decided>[]) => Promise<Kept[]>;

export interface Work<Decided> extends Decision<Decided> {
  /** The position that was read. */
  kept: number;
  counters: Counts;
  bytes: number;
  /** In a transaction of its own: its batch is under suspicion. */
  alone: boolean;
}

export type Outcome = Kept & { counters: Counts };

/** A batch of so many messages, or bytes, is full. */
const FULL_MESSAGES = 250;
const FULL_BYTES = 150_000;
/** So many full ones at a time; the pool has connections left for what the others must look up. */
const FULL_AT_ONCE_MAX = 3;

interface Waiting<Decided> {
  work: Work<Decided>;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

export function createKeeping<Decided>(parts: {
  pool: pg.Pool;
  service: string;
  keep: Keep<Decided>;
}): (work: Work<Decided>) => Promise<Outcome> {
  const { pool, service, keep } = parts;
  const full = createLane<Waiting<Decided>>({ atOnceMax: FULL_AT_ONCE_MAX, takeMax: 1, carry: keepAll });
  const gathered = createLane<Waiting<Decided>>({ atOnceMax: 1, takeMax: Infinity, carry: keepAll });

  return (work) =>
    new Promise((resolve, reject) => {
      const one = { work, resolve, reject };
      if (work.alone) void keepAll([one]);
      else if (work.batch.messages.length >= FULL_MESSAGES || work.bytes >= FULL_BYTES) full(one);
      else gathered(one);
    });

  async function keepAll(group: readonly Waiting<Decided>[]): Promise<void> {
    try {
      const outcomes = await inOneTransaction(group.map(({ work }) => work));
      for (const [index, { resolve }] of group.entries()) resolve(outcomes[index]!);
    } catch (error) {
      if (group.length === 1 || isDatabaseTrouble(error)) for (const { reject } of group) reject(error);
      else for (const one of group) await keepAll([one]);
    }
  }

  async function inOneTransaction(works: readonly Work<Decided>[]): Promise<Outcome[]> {
    return inPipelinedTransaction(pool, async (transaction) => {
      // Sent together with what is kept: where a position is another's, all of it fails.
      const held = holdPositions(
        transaction,
        service,
        works.map(({ batch: { partition, streamCreated }, kept }) => ({ partition, streamCreated, kept })),
      );
      held.catch(() => undefined);
      const came = await keep(transaction, works).catch(async (error: unknown) => {
        await held;
        throw error;
      });
      await held;
      const result = came.map((one, index) => ({ ...one, counters: added(works[index]!.counters, one.counts ?? {}) }));
      const last = movePositions(
        transaction,
        service,
        result.map(({ tell, tellsOf, counters, snapshot }, index) => {
          const { partition, lastSequence } = works[index]!.batch;
          const untold = tellsOf === undefined ? tell : { tellsOf };
          return { partition, kept: lastSequence, untold, counters, snapshot: snapshot === true };
        }),
      );
      return { result, last };
    });
  }
}

/** Carries what comes, so many loads at a time, each of what has come by then. */
function createLane<Item>(parts: {
  atOnceMax: number;
  takeMax: number;
  carry(load: readonly Item[]): Promise<void>;
}): (item: Item) => void {
  const waiting: Item[] = [];
  let underWay = 0;
  const begin = (): void => {
    while (waiting.length > 0 && underWay < parts.atOnceMax) {
      underWay++;
      void parts.carry(waiting.splice(0, parts.takeMax)).finally(() => {
        underWay--;
        begin();
      });
    }
  };
  return (item) => {
    waiting.push(item);
    begin();
  };
}

function added(counters: Counts, more: Readonly<Counts>): Counts {
  const sum = { ...counters };
  for (const [what, count] of Object.entries(more)) sum[what] = (sum[what] ?? 0) + count;
  return sum;
}
