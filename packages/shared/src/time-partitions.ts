/** Calendar-month partitions of the tables that grow: made ahead of their first row and never inside a batch's transaction. */
import type { Pool } from "pg";

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
const monthStart = (month: number): string => new Date(startOf(month)).toISOString();

/** Readings beyond these years go to the default partition: one strange clock may not make a thousand tables. */
const FIRST_MONTH = 2000 * 12;
const MONTHS_AHEAD_MAX = 2;

export function createTimePartitions(
  pool: Pick<Pool, "query">,
  table: "readings" | "corrected_readings",
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
        if (month >= FIRST_MONTH && month <= monthOf(Date.now()) + MONTHS_AHEAD_MAX) await make(month);
        made.add(month);
      }
    },
  };

  async function make(month: number): Promise<void> {
    const name = `${table}_${monthStart(month).slice(0, 7).replace("-", "_")}`;
    try {
      await pool.query(
        `create table if not exists "${name}" partition of "${table}" for values from ('${monthStart(month)}') to ('${monthStart(month + 1)}')`,
      );
    } catch (error) {
      // Made by another replica in the same moment (42P07, 23505), or rows of that month already stand in the default
      // partition (23514), where they are as safe.
      if (!["42P07", "23505", "23514", "42P17"].includes(String((error as { code?: string }).code))) throw error;
    }
  }
}
