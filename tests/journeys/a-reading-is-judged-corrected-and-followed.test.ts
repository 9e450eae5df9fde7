/**
 *   plant gateway ──readings.main.7──▶ READINGS ─┬─▶ ingest ──────▶ readings
 *                                                ├─▶ anomaly ─────▶ anomalies           ──▶ events.anomaly.main.7
 *                                                ├─▶ drift ───────▶ sensor_drift
 *                                                └─▶ calibration ─▶ corrected_readings  ──▶ corrected.main.7
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";

const MINUTE_MS = 60_000;

/** A calm signal of so many readings, one a minute, the last of them a minute ago. */
function calmReadings(count: number, now: number): { value: number; timestamp: number }[] {
  return Array.from({ length: count }, (_, n) => ({
    value: 20 + Math.sin(n / 7) + 0.3 * Math.sin(n * 1.7),
    timestamp: now - (count - n) * MINUTE_MS,
  }));
}

async function untilKept(plant: Plant, count: number): Promise<void> {
  await expect
    .poll(async () => (await plant.rows<{ n: number }>("select count(*)::int n from readings"))[0]?.n, {
      timeout: WAIT_MS,
    })
    .toBe(count);
}

it("one reading published on NATS ends up judged, corrected, followed and kept", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly", "drift", "calibration"] });
  const sensor = await plant.aSensor({ id: 7 });
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  await plant.publish(sensor, calmReadings(120, now));
  await plant.publish(sensor, { value: 90, timestamp: now });
  await untilKept(plant, 121);

  await expect
    .poll(() => plant.rows("select value, resolved, method from anomalies where value = 90"), { timeout: WAIT_MS })
    .toEqual([{ value: 90, resolved: false, method: "threshold" }]);
  await expect
    .poll(
      () =>
        plant.rows("select raw_value, corrected_value, method from corrected_readings order by timestamp desc limit 1"),
      { timeout: WAIT_MS },
    )
    .toEqual([{ raw_value: 90, corrected_value: 90, method: "identity" }]);
  await expect
    .poll(async () => (await plant.rows("select sensor_id from sensor_drift")).length, { timeout: WAIT_MS })
    .toBe(1);
  await expect
    .poll(() => plant.lastSaid("CORRECTED", "corrected.main.7"), { timeout: WAIT_MS })
    .toMatchObject({
      sensor_id: 7,
      raw_value: 90,
      corrected_value: 90,
      method: "identity",
      model_version: null,
    });
  await expect
    .poll(() => plant.lastSaid("EVENTS", "events.anomaly.main.7"), { timeout: WAIT_MS })
    .toMatchObject({ sensor_id: 7, value: 90, resolved: false, alarm: false });
});

it("an anomaly is one episode: it counts up, and resolves itself when the sensor is usual again", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly"] });
  const sensor = await plant.aSensor({ id: 7 });
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const readings = calmReadings(400, now);
  for (const n of [370, 371, 372]) readings[n]!.value = 60 + n;
  for (const reading of readings.slice(340))
    await plant.publish(sensor, reading === readings[340] ? readings.slice(0, 341) : reading);
  await untilKept(plant, 400);

  await expect
    .poll(
      () => plant.rows("select value, count, resolved, resolved_by, type, alarm from anomalies where value > 400"),
      { timeout: WAIT_MS },
    )
    .toEqual([{ value: 432, count: 3, resolved: true, resolved_by: "itself", type: "Spike", alarm: true }]);
});

it("a sensor outside its physical range is an alarm from its first reading on", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly"] });
  const sensor = await plant.aSensor({ id: 7, range_min: 0, range_max: 100 });
  await plant.publish(sensor, { value: 140, timestamp: Date.now() });
  await expect
    .poll(() => plant.rows("select value, alarm, method, resolved from anomalies"), { timeout: WAIT_MS })
    .toEqual([{ value: 140, alarm: true, method: "rule", resolved: false }]);
});

it("a live sensor that falls silent is a Dropout without another reading, and its next reading ends it", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly"] });
  const sensor = await plant.aSensor({ id: 7, expected_interval_s: 1 });
  await plant.publish(sensor, { value: 20, timestamp: Date.now() });
  await expect
    .poll(() => plant.rows("select type, alarm, method, resolved from anomalies"), { timeout: WAIT_MS })
    .toEqual([{ type: "Dropout", alarm: true, method: "rule", resolved: false }]);
  await plant.publish(sensor, { value: 20, timestamp: Date.now() });
  await expect
    .poll(() => plant.rows("select resolved, resolved_by from anomalies"), { timeout: WAIT_MS })
    .toEqual([{ resolved: true, resolved_by: "itself" }]);
});

it("what was bad at first stands: a good reading of its instant is a repeat to every service", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly", "drift", "calibration"] });
  const sensor = await plant.aSensor({ id: 7, range_min: 0, range_max: 100 });
  const now = Date.now() - MINUTE_MS;
  await plant.publish(sensor, { value: 20, timestamp: now, quality: "bad" });
  await plant.publish(sensor, { value: 140, timestamp: now });
  await plant.publish(sensor, [
    { value: 20, timestamp: now + 1, quality: "bad" },
    { value: 141, timestamp: now + 1 },
  ]);
  await plant.publish(sensor, { value: 21, timestamp: now + 2 });
  await untilKept(plant, 3);

  await expect
    .poll(() => plant.rows("select raw_value from corrected_readings order by timestamp"), { timeout: WAIT_MS })
    .toEqual([{ raw_value: 21 }]);
  await expect
    .poll(() => plant.rows("select body->'open'->'count' as followed from sensor_drift"), { timeout: WAIT_MS })
    .toEqual([{ followed: 1 }]);
  await expect
    .poll(() => plant.rows("select body->'readings' as judged from anomaly_state"), { timeout: WAIT_MS })
    .toEqual([{ judged: 1 }]);
  expect(await plant.rows("select value from anomalies")).toEqual([]);
});
