/**
 *   plant gateway ──readings.main.7──▶ READINGS ──▶ ingest ──▶ readings, rollups, sensor_latest
 *                                                         └──▶ dead_letters ──▶ DEAD_LETTERS
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";

const MINUTE_MS = 60_000;

it("a reading published by a plant gateway is kept once, however often it comes", async () => {
  await using plant = await openPlant({ services: ["ingest"] });
  const sensor = await plant.aSensor({ id: 7 });
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;

  await plant.publish(sensor, { value: 21.4, timestamp: now - MINUTE_MS });
  await plant.publish(sensor, { value: 99, timestamp: now - MINUTE_MS });
  await plant.publish(sensor, [
    { value: 21.5, timestamp: now },
    { value: 20.5, timestamp: now - 2 * MINUTE_MS, quality: "uncertain" },
    { value: -1, timestamp: now - 3 * MINUTE_MS, quality: "bad" },
  ]);

  await expect
    .poll(() => plant.rows("select raw_value, quality from readings order by timestamp desc"), { timeout: WAIT_MS })
    .toEqual([
      { raw_value: 21.5, quality: 0 },
      { raw_value: 21.4, quality: 0 },
      { raw_value: 20.5, quality: 1 },
      { raw_value: -1, quality: 2 },
    ]);
  expect(await plant.rows("select raw_value, readings, timestamp from sensor_latest")).toEqual([
    { raw_value: 21.5, readings: 4, timestamp: new Date(now) },
  ]);
  const [rolled] = await plant.rows<{ count: number; least: number; most: number }>(
    "select sum(count)::int count, min(min) least, max(max) most from readings_per_hour",
  );
  expect(rolled).toEqual({ count: 3, least: 20.5, most: 21.5 });
});

it("what cannot be used is kept whole and told, and nothing else of the batch is lost", async () => {
  await using plant = await openPlant({ services: ["ingest"] });
  const sensor = await plant.aSensor({ id: 7 });
  const now = Date.now();

  await plant.publish({ site: "main", key: "nobody" }, { value: 1 });
  await plant.gateway.jetstream.publish("readings.main.7", "{not json");
  await plant.publish(sensor, { value: "hot" });
  await plant.publish(sensor, { value: 1, timestamp: now + 3_600_000 });
  await plant.publish(
    sensor,
    Array.from({ length: 10_001 }, () => ({ value: 1, timestamp: now })),
  );
  await plant.publish(sensor, [
    { value: 2, timestamp: now },
    { value: null, timestamp: now },
  ]);

  await expect
    .poll(
      async () =>
        (await plant.rows<{ reason: string }>("select reason from dead_letters")).map((row) => row.reason).sort(),
      { timeout: WAIT_MS },
    )
    .toEqual(["future_timestamp", "invalid_json", "invalid_reading", "invalid_reading", "too_large", "unknown_sensor"]);
  await expect
    .poll(() => plant.rows("select raw_value from readings"), { timeout: WAIT_MS })
    .toEqual([{ raw_value: 2 }]);
  await expect
    .poll(async () => (await plant.bus.manager.streams.info("DEAD_LETTERS")).state.messages, { timeout: WAIT_MS })
    .toBe(6);
  expect(await plant.lastSaid("DEAD_LETTERS", "dead.main.nobody")).toMatchObject({
    subject: "readings.main.nobody",
    reason: "unknown_sensor",
    payload: '{"value":1}',
    payload_truncated: false,
  });
});

it("two replicas share the partitions, and one takes over when the other is killed", async () => {
  await using plant = await openPlant({ services: ["ingest"] });
  const sensors = await Promise.all(Array.from({ length: 8 }, (_, index) => plant.aSensor({ id: index + 1 })));
  const second = await plant.start("ingest");
  const start = Date.now() - 100_000;
  const publishAll = (from: number, to: number) =>
    Promise.all(
      sensors.map(async (sensor) => {
        for (let n = from; n < to; n++) await plant.publish(sensor, { value: n, timestamp: start + n });
      }),
    );
  await publishAll(0, 50);
  await second.kill("SIGKILL");
  await publishAll(50, 100);
  await expect
    .poll(() => plant.rows("select count(*)::int n, count(distinct (sensor_id, raw_value))::int d from readings"), {
      timeout: WAIT_MS,
    })
    .toEqual([{ n: 800, d: 800 }]);
});
