/** Calendar-month partitions of the tables that grow: made ahead of their first row and never inside a batch's transaction. */
import type { Pool } from "pg";
import { inTransaction } from "./database.ts";
import type { Log } from "./log.ts";

export interface TimePartitions {
  /** Makes the months of these instants, where they are missing. */
  ensure(timestampsMs: Iterable<number>): Promise<void>;
}

/** A month as a number that counts on: 12 × year + month, January 0. */
const monthOf = (timestampMs: number): number => {
  const date = new Date(timestampMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
};
const startOf = (month: number): number => Date.UTC(Math.floor(month / 12), month % 12, 1);
/** As PostgreSQL writes a date. */
const firstDayOf = (month: number): string => new Date(startOf(month)).toISOString().slice(0, 10);

/** Readings beyond these years go to the default partition: one strange clock may not make a thousand tables. */
const FIRST_MONTH = 2000 * 12;
const MONTHS_AHEAD_MAX = 2;

const TEND_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Dropping a month waits no longer than this for those who read it; the next hour is as good. */
const LOCK_MS_MAX = 2_000;

export type GrowingTable = "readings" | "corrected_readings";

/**
 * Looks after a table's months while the service runs: the next one stands before its first row, and months that
 * `retentionDays` has passed altogether are dropped (0: never). The rollups stay: they are small, and are what charts show.
 */
export async function openMonths(parts: {
  pool: Pool;
  table: GrowingTable;
  retentionDays: number;
  log: Pick<Log, "info" | "warn">;
  /** A year may pass in seconds where somebody tries it. */
  clock?: () => number;
}): Promise<TimePartitions & AsyncDisposable & { tend(): Promise<void> }> {
  const { pool, table, retentionDays, log, clock = Date.now } = parts;
  const months = createTimePartitions(pool, table, clock);
  const tend = async () => {
    try {
      const now = clock();
      await months.ensure([now, startOf(monthOf(now) + 1)]);
      for (const dropped of await dropExpired(pool, table, retentionDays, now)) log.info({ dropped }, "month dropped");
    } catch (error) {
      log.warn({ error, table }, "the months could not be looked after");
    }
  };
  let tending = tend();
  const looking = setInterval(() => void (tending = tending.then(tend)), TEND_MS);
  await tending;
  return {
    ensure: months.ensure,
    tend: () => (tending = tending.then(tend)),
    async [Symbol.asyncDispose]() {
      clearInterval(looking);
      await tending;
    },
  };
}

/** Drops the months that ended before the retention began, and returns their names; what strayed into the default partition goes too. */
export async function dropExpired(
  pool: Pool,
  table: GrowingTable,
  retentionDays: number,
  nowMs: number,
): Promise<string[]> {
  if (retentionDays === 0) return [];
  const oldestMs = nowMs - retentionDays * DAY_MS;
  const { rows } = await pool.query<{ name: string }>(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1",
    [table],
  );
  const expired = rows.flatMap(({ name }) => {
    const [, year, month] = /_(\d{4})_(\d{2})$/.exec(name) ?? [];
    return Date.UTC(Number(year), Number(month), 1) <= oldestMs ? [{ name, firstDay: `${year}-${month}-01` }] : [];
  });
  for (const { firstDay } of expired) {
    await inTransaction(pool, async (client) => {
      await client.query(`set local lock_timeout = ${LOCK_MS_MAX}`);
      await client.query("select drop_month($1, $2)", [table, firstDay]);
    });
  }
  await pool.query(`delete from "${table}_default" where timestamp < to_timestamp($1 / 1000.0)`, [oldestMs]);
  return expired.map(({ name }) => name);
}

export function createTimePartitions(
  pool: Pick<Pool, "query">,
  table: GrowingTable,
  clock: () => number = Date.now,
): TimePartitions {
  const made = new Set<number>();
  return {
    async ensure(timestampsMs) {
      const missing = new Set<number>();
      // Nearly all of a batch is of the month that the reading before was of.
      let [from, to] = [Infinity, -Infinity];
      for (const timestampMs of timestampsMs) {
        if (timestampMs >= from && timestampMs < to) continue;
        const month = monthOf(timestampMs);
        [from, to] = [startOf(month), startOf(month + 1)];
        if (!made.has(month)) missing.add(month);
      }
      for (const month of missing) {
        if (month >= FIRST_MONTH && month <= monthOf(clock()) + MONTHS_AHEAD_MAX) await make(month);
        made.add(month);
      }
    },
  };

  async function make(month: number): Promise<void> {
    try {
      await pool.query("select make_month($1, $2)", [table, firstDayOf(month)]);
    } catch (error) {
      // Made by another replica in the same moment (42P07, 23505), or rows of that month already stand in the default
      // partition (23514), where they are as safe.
      if (!["42P07", "23505", "23514", "42P17"].includes(String((error as { code?: string }).code))) throw error;
    }
  }
}
