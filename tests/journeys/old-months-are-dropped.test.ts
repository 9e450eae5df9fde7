/**
 * readings of three months ──▶ a retention of 60 days ──▶ the months that are past it altogether are gone, the others whole
 */
import { createTimePartitions, dropExpired } from "@calibration/shared/time-partitions.ts";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";

it(
  "a month that the retention has passed altogether is dropped, and nothing else is",
  { timeout: WAIT_MS },
  async () => {
    await using plant = await openPlant();
    const { pool } = plant.database;
    const now = Date.UTC(2026, 10, 20);
    const instants = [
      "2026-07-31T23:59:59.999Z",
      "2026-08-15T00:00:00.000Z",
      "2026-09-20T00:00:00.000Z",
      "2026-09-22T00:00:00.000Z",
    ];
    await createTimePartitions(pool, "readings").ensure(instants.map((text) => Date.parse(text)));
    // And one from before any month stood.
    for (const timestamp of [...instants, "1999-01-01T00:00:00.000Z"])
      await pool.query("insert into readings values (1, $1, 20, 0, 1, $1)", [timestamp]);
    const kept = async () =>
      (await plant.rows<{ timestamp: Date }>("select timestamp from readings order by 1")).map(({ timestamp }) =>
        timestamp.toISOString(),
      );

    expect(await dropExpired(pool, "readings", 0, now)).toEqual([]);
    expect(await kept()).toHaveLength(5);

    expect(await dropExpired(pool, "readings", 60, now)).toEqual(["readings_2026_07", "readings_2026_08"]);
    expect(await kept()).toEqual(["2026-09-20T00:00:00.000Z", "2026-09-22T00:00:00.000Z"]);
    expect(await dropExpired(pool, "readings", 60, now)).toEqual([]);
  },
);
