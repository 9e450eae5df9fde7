/**
 *   readings of years ──slice by slice──▶ trainer: the same series as one query would bring, and no more of it in memory
 */
import { findDriftSeries, findGoodReadings } from "../../services/trainer/src/store.ts";
import { createTimePartitions } from "@calibration/shared/time-partitions.ts";
import { expect, it } from "vitest";
import { openPlant, type Plant } from "../support/plant.ts";

const DAY_MS = 86_400_000;
const DAYS = 400;
const SENSOR = 7;

it("what a model is fitted on is fetched in slices, and is what one query brings", async () => {
  await using plant = await openPlant();
  const { pool } = plant.database;
  await plant.aSensor({ id: SENSOR });
  const nowMs = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  await createTimePartitions(pool, "readings").ensure(
    Array.from({ length: DAYS + 1 }, (_, day) => nowMs - day * DAY_MS),
  );
  // Twenty minutes apart with a pause of three months, every seventh unusable, and a second sensor in between.
  await plant.rows(
    `insert into readings
     select s, t, 20 + sin(extract(epoch from t) / 86400) + s, case when (extract(epoch from t)::int8 / 1200) % 7 = 0 then 2 else 0 end, 1, t
       from generate_series(${SENSOR}, ${SENSOR + 1}) s, generate_series(to_timestamp($1), to_timestamp($2), '20 minutes') t
      where t < to_timestamp($2) - interval '200 days' or t > to_timestamp($2) - interval '110 days'`,
    [(nowMs - DAYS * DAY_MS) / 1000, nowMs / 1000 - 600],
  );

  for (const most of [12, 9_999, 10_000, 10_001, 100_000]) {
    const { timesMs, values } = await findGoodReadings(pool, SENSOR, most);
    const whole = await atOnce(plant, "timestamp", "raw_value", "", most);
    expect(whole.length).toBeGreaterThan(most === 100_000 ? 15_000 : most - 1);
    expect([...timesMs].map((timeMs, i) => [timeMs, values[i]])).toEqual(whole);
  }

  // 2160 hours reach over the pause.
  const hours = await findDriftSeries(pool, SENSOR, 20);
  const whole = await atOnce(
    plant,
    "date_trunc('hour', timestamp, 'UTC')",
    "avg(raw_value::numeric)::float8",
    "group by 1",
    2160,
  );
  expect([...hours.series.timesMs].map((timeMs, i) => [timeMs, hours.series.values[i]])).toEqual(whole);
  expect(hours).toMatchObject({ cadence: "hour", readings: hours.counts.reduce((sum, count) => sum + count, 0) });

  // Since a calibration there is too little for hours: the readings themselves.
  await plant.rows(
    "insert into calibrations (sensor_id, method, corrected_value, applied_at, valid_from) values ($1, 'linear', 20, to_timestamp($2), now())",
    [SENSOR, nowMs / 1000 - DAY_MS / 1000],
  );
  const few = await findDriftSeries(pool, SENSOR, 20);
  expect(few).toMatchObject({ cadence: "reading", readings: few.series.values.length });
  expect(few.series.timesMs[0]).toBeGreaterThanOrEqual(nowMs - DAY_MS);
  expect(few.series.values.length).toBeGreaterThan(50);
});

async function atOnce(plant: Plant, instant: string, value: string, grouped: string, most: number) {
  const rows = await plant.rows<{ ms: number; value: number }>(
    `select round(extract(epoch from ${instant}) * 1000)::float8 as ms, ${value} as value from readings
      where sensor_id = $1 and quality = 0 ${grouped === "" ? "" : `group by date_trunc('hour', timestamp, 'UTC')`} order by ms desc limit $2`,
    [SENSOR, most],
  );
  return rows.reverse().map((row) => [row.ms, row.value]);
}
