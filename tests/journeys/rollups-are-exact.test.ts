/**
 *   readings ──▶ ingest, calibration ──▶ sums in the service ──▶ readings_per_minute, readings_per_hour, corrected_per_hour
 *                                   └──▶ sums in PostgreSQL, where something may be a repeat ──▶ the same tables
 *
 * Whoever has added them up, the sums are those of `sum(value::numeric)`, to the digit and to the number of decimals.
 */
import { createRandom } from "@calibration/models/random.ts";
import { addValue, createExactSum, textOf } from "@calibration/shared/exact-sum.ts";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";

const ROLLUPS = (table: string, value: string, bucket: string, where = "") => `
  select sensor_id, date_bin('${bucket}', timestamp, timestamptz '2000-01-01 00:00:00Z') as bucket,
      min(${value}) as min, max(${value}) as max, sum(${value}::numeric)::text as sum, count(*)::int as count
    from ${table} ${where} group by 1, 2 order by 1, 2`;
const KEPT = (table: string) =>
  `select sensor_id, bucket, min, max, sum::text as sum, count from ${table} order by sensor_id, bucket`;

const random = createRandom(7);
/** Of every length, and some on whose last digit two ways of rounding differ. */
const someValue = (n: number): number => {
  const value = random.normal() * 10 ** (n % 11 === 0 ? 12 : (n % 5) - 2);
  if (n % 13 === 0) return Math.floor(Math.abs(value) * 1000) + 2 ** 47 + 0.5;
  return n % 3 === 0 ? value : Math.round(value * 10 ** (n % 7)) / 10 ** (n % 7);
};

it("sums of doubles are those of PostgreSQL", async () => {
  await using plant = await openPlant({ partitions: 1 });
  for (let round = 0; round < 40; round++) {
    const values = Array.from({ length: 1 + round * 5 }, (_, n) => someValue(n + round));
    const sum = createExactSum();
    for (const value of values) addValue(sum, value);
    const [row] = await plant.rows<{ sum: string }>(
      "select sum(v::numeric)::text as sum from unnest($1::float8[]) as u(v)",
      [values],
    );
    expect(textOf(sum)).toBe(row!.sum);
  }
});

it("rollups are those of the readings, whether they came in order or not", async () => {
  await using plant = await openPlant({ partitions: 2 });
  const sensors = [await plant.aSensor({ id: 1 }), await plant.aSensor({ id: 2 })];
  await plant.start("ingest");
  await plant.start("calibration");
  const firstMs = Date.UTC(2026, 0, 31, 23, 20);
  const say = (from: number, to: number) =>
    Promise.all(
      sensors.map((sensor) =>
        plant.publish(
          sensor,
          Array.from({ length: to - from }, (_, i) => ({
            value: someValue(from + i),
            timestamp: firstMs + (from + i) * 7_000,
            quality: i % 17 === 0 ? ("bad" as const) : ("good" as const),
          })),
        ),
      ),
    );
  const kept = (readings: number) =>
    expect
      .poll(async () => await plant.rows("select count(*)::int as n from readings"), { timeout: WAIT_MS })
      .toEqual([{ n: 2 * readings }]);
  await say(0, 300);
  await kept(300);
  await say(300, 700);
  await kept(700);
  // Half of it is there already, and half of what is not comes late.
  await say(900, 1000);
  await kept(800);
  await say(600, 900);
  await kept(1000);

  const [{ corrected }] = (await plant.rows<{ corrected: number }>(
    "select count(*)::int as corrected from readings where quality < 2",
  )) as [{ corrected: number }];
  await expect
    .poll(async () => await plant.rows("select count(*)::int as n from corrected_readings"), { timeout: WAIT_MS })
    .toEqual([{ n: corrected }]);
  for (const [table, width] of [
    ["readings_per_minute", "1 minute"],
    ["readings_per_hour", "1 hour"],
  ] as const)
    expect(await plant.rows(KEPT(table))).toEqual(
      await plant.rows(ROLLUPS("readings", "raw_value", width, "where quality < 2")),
    );
  expect(await plant.rows(KEPT("corrected_per_hour"))).toEqual(
    await plant.rows(ROLLUPS("corrected_readings", "corrected_value", "1 hour")),
  );
  expect(await plant.rows("select sensor_id, readings from sensor_latest order by 1")).toEqual([
    { sensor_id: 1, readings: 1000 },
    { sensor_id: 2, readings: 1000 },
  ]);
});
