/**
 *   the dashboard ──REST──▶ gateway ──▶ rollups, models, positions, presence
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

it("small lines, expected bands, corrected buckets, training runs, and whether everything keeps up", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly", "calibration", "trainer"] });
  const { ask } = await openGateway(plant);
  const { body: sensor } = await ask("POST", "/api/sensors/", {
    id: 13,
    name: "Tank",
    type: "Pressure",
    range_max: 100,
  });
  expect(sensor).toMatchObject({ open_alarms: 0, open_anomalies: 0 });
  await ask("POST", "/api/calibrations/", {
    sensor_id: 13,
    corrected_value: 1,
    params: { slope: 2, intercept: 1 },
    applied_at: "2026-01-01T00:00:00Z",
  });
  const end = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const times = Array.from({ length: 300 }, (_, n) => end - (300 - n) * MINUTE_MS);
  await plant.publish(
    sensor,
    times.map((timestamp, n) => ({ timestamp, value: 10 + (n % 10) })),
  );
  await plant.publish({ site: "main", key: "nobody" }, { value: 1, timestamp: end });

  await expect
    .poll(async () => (await ask("GET", "/api/sparklines/?sensor_ids=13,99", undefined, "viewer")).body, {
      timeout: WAIT_MS,
    })
    .toEqual({
      results: [{ sensor_id: 13, points: [5, 4, 3, 2, 1].map((hours) => [end - hours * HOUR_MS, 14.5]) }],
    });
  expect(await ask("GET", "/api/sparklines/?sensor_ids=13,x")).toMatchObject({ status: 422 });
  await expect
    .poll(
      async () => (await ask("GET", "/api/readings/?sensor_id=13&resolution=3600&series=corrected&order=asc")).body,
      {
        timeout: WAIT_MS,
      },
    )
    .toMatchObject({
      resolution: 3600,
      count: 5,
      results: [{ min: 21, max: 39, mean: 30, count: 60 }, {}, {}, {}, {}],
    });

  const range = `from=${new Date(end - 24 * HOUR_MS).toISOString()}&to=${new Date(end).toISOString()}`;
  expect((await ask("GET", `/api/sensors/13/expected/?${range}`)).body).toEqual({ model_version: null, results: [] });
  expect(await ask("POST", "/api/model-training/", { sensor_id: 13, model_type: "anomaly" })).toMatchObject({
    status: 200,
  });
  expect(await ask("POST", "/api/model-training/", { sensor_id: 13, model_type: "calibration" })).toMatchObject({
    status: 422,
  });
  const { body: band } = await ask("GET", `/api/sensors/13/expected/?${range}`, undefined, "viewer");
  expect(band.model_version).toBe(1);
  expect(band.results.length).toBeGreaterThan(0);
  for (const { expected, lower, upper } of band.results) {
    expect(lower).toBeLessThanOrEqual(expected);
    expect(upper).toBeGreaterThanOrEqual(expected);
  }
  expect(await ask("GET", "/api/sensors/13/expected/?from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z")).toMatchObject(
    {
      status: 422,
    },
  );
  expect((await ask("GET", "/api/model-training/runs/")).body.results).toMatchObject([
    { sensor_id: 13, model_type: "calibration", status: "insufficient_data", required: 5, available: 1 },
    { sensor_id: 13, model_type: "anomaly", status: "trained", error: null },
  ]);
  expect((await ask("GET", "/api/model-training/runs/?status=failed")).body.count).toBe(0);

  await expect
    .poll(async () => (await ask("GET", "/api/system/", undefined, "viewer")).body, { timeout: WAIT_MS })
    .toMatchObject({
      services: [
        {
          service: "ingest",
          replicas: [expect.any(String)],
          per_second: expect.any(Number) as number,
          failing_partitions: 0,
        },
        { service: "anomaly", replicas: [expect.any(String)], lag: expect.any(Number) as number },
        { service: "drift", replicas: [] },
        { service: "calibration", replicas: [expect.any(String)] },
        { service: "trainer", replicas: [expect.any(String)], lag: null, per_second: null },
        { service: "gateway", replicas: [expect.any(String)] },
      ],
      dead_letters: { unknown_sensor: 1 },
      training: { waiting: 0, running: 0, failed_last_day: 0 },
    });
  // A second replica is seen when it comes, and missed when it is gone.
  const second = await plant.start("ingest");
  const replicas = async () =>
    (await ask("GET", "/api/system/")).body.services.map(({ replicas: own }: { replicas: string[] }) => own.length);
  await expect.poll(replicas, { timeout: WAIT_MS }).toEqual([2, 1, 0, 1, 1, 1]);
  await second.kill();
  await expect.poll(replicas, { timeout: WAIT_MS }).toEqual([1, 1, 0, 1, 1, 1]);
});

it("the sensors that need somebody most at once, and of all of them as little as a list shows", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly"] });
  const { ask } = await openGateway(plant);
  const sensors = [
    { id: 1, name: "Sound", type: "Flow" },
    { id: 2, name: "Too hot", type: "Temperature", range_max: 100, settings: { tolerance: 2 } },
    { id: 3, name: "Silent", type: "Flow", site: "north" },
  ];
  for (const sensor of sensors) await ask("POST", "/api/sensors/", { expected_interval_s: 86_400, ...sensor });
  const now = Date.now();
  await plant.publish({ site: "main", key: "1" }, { value: 3, timestamp: now });
  await plant.publish({ site: "main", key: "2" }, { value: 140, timestamp: now });
  const attention = async (asked = "") => (await ask("GET", `/api/attention/${asked}`, undefined, "viewer")).body;
  const names = ({ results }: { results: { name: string }[] }) => results.map(({ name }) => name);
  await expect.poll(async () => names(await attention()), { timeout: WAIT_MS }).toEqual(["Too hot", "Silent", "Sound"]);
  const { results: all } = await attention();
  expect(all[0]).toEqual((await ask("GET", "/api/sensors/2/")).body);
  expect(await attention("?limit=1")).toMatchObject({ count: 3, results: [{ id: 2 }] });
  // How many there are of each status is told of whatever else was asked for.
  expect(await attention("?status=offline&type=Flow")).toMatchObject({
    count: 1,
    by_status: { critical: 0, warning: 0, offline: 1, online: 1 },
    results: [{ name: "Silent" }],
  });
  expect(names(await attention("?q=NORTH"))).toEqual(["Silent"]);
  expect(names(await attention("?site=main"))).toEqual(["Too hot", "Sound"]);
  expect(await ask("GET", "/api/attention/?status=tired")).toMatchObject({ status: 422 });

  const { body } = await ask("GET", "/api/sensors/?order=asc&limit=2&fields=id,settings.tolerance,last_calibrated_at");
  expect(body).toMatchObject({ count: 3, next: expect.any(String) as string });
  expect(body.results).toEqual([
    { id: 1, settings: { tolerance: null }, last_calibrated_at: null },
    { id: 2, settings: { tolerance: 2 }, last_calibrated_at: null },
  ]);
  for (const wrong of ["mood", "settings.mood", "name.first", "id;drop"])
    expect(await ask("GET", `/api/sensors/?fields=${wrong}`)).toMatchObject({
      status: 422,
      body: { code: "invalid_input" },
    });
});
