/**
 *   a month of readings that creep away ──▶ drift ──events.drift.<site>.<key>──▶ 1 %, 5 %
 *                                             └──▶ GET /api/sensors/{id}/drift-prediction/: how far, how sure, and when the tolerance is left
 *   a calibration ──▶ all of it begins anew
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

const HOUR_MS = 3_600_000;
const DAYS = 30;
const PERCENT_PER_DAY = 0.3;
/** The sensor stands at 200; its tolerance of 24 is 12 %, and at 9 % now it is left in about ten days. */
const BASELINE = 200;
const TOLERANCE = 24;
const NOW = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
const START = NOW - DAYS * 24 * HOUR_MS;

/** Creeps up, by day more than by night, with some scatter that is the same wherever it runs. */
const crept = (hour: number): number =>
  BASELINE * (1 + (PERCENT_PER_DAY / 100) * (hour / 24)) +
  1.5 * Math.sin((hour * Math.PI) / 12) +
  0.5 * Math.sin(hour * 1.7);

let plant: Plant;
let ask: Ask;
const stack = new AsyncDisposableStack();
const path = "/api/sensors/1/drift-prediction/";

beforeAll(async () => {
  plant = stack.use(await openPlant({ partitions: 2, services: ["ingest", "drift", "trainer"] }));
  ({ ask } = await openGateway(plant));
});
afterAll(() => stack.disposeAsync());

const predict = async (query = ""): Promise<any> => (await ask("GET", path + query)).body;
const sensorNow = async () => (await ask("GET", "/api/sensors/1/")).body;

it("is told at 1 % and at 5 %, and predicted to any horizon at any step, with a band and what it is worth", async () => {
  const { body: sensor } = await ask("POST", "/api/sensors/", {
    id: 1,
    name: "Creeper",
    type: "Pressure",
    baseline: BASELINE,
    settings: { tolerance: TOLERANCE },
  });
  expect(sensor.settings.drift_levels).toEqual([1, 5]);
  expect(await predict()).toMatchObject({ fallback_reason: "insufficient_history", predictions: [] });
  await plant.publish(
    sensor,
    Array.from({ length: DAYS * 24 }, (_, hour) => ({ value: crept(hour), timestamp: START + hour * HOUR_MS })),
  );
  const crossed = async () =>
    (await plant.allSaid("EVENTS", "events.drift.main.1")).map(({ body }) => [body.event, body.level, body.direction]);
  await expect.poll(crossed, { timeout: WAIT_MS }).toEqual([
    ["level_crossed", 1, "up"],
    ["level_crossed", 5, "up"],
  ]);
  expect((await sensorNow()).drift).toBeGreaterThan(8);
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings"), { timeout: WAIT_MS })
    .toEqual([{ n: DAYS * 24 }]);
  expect(await ask("POST", "/api/model-training/", { sensor_id: 1, model_type: "drift" })).toMatchObject({
    status: 200,
    body: {
      results: {
        drift: { model: { metrics: { skill: expect.any(Number) as number, coverage: expect.any(Number) as number } } },
      },
    },
  });

  const last = START + (DAYS * 24 - 1) * HOUR_MS;
  for (const [horizon, step] of [
    [24, 1],
    [336, 1],
    [336, 168],
    [336, 0.5],
    [1, 0.25],
    [72, 7],
    [0.5, 0.1],
  ] as const) {
    const { predictions } = await predict(`?horizon=${horizon}&step=${step}`);
    expect(predictions.map(({ timestamp }: { timestamp: string }) => Date.parse(timestamp))).toEqual(
      Array.from({ length: Math.floor(horizon / step + 1e-9) }, (_, k) => Math.round(last + (k + 1) * step * HOUR_MS)),
    );
    for (const { value, lower, upper, confidence, drift } of predictions) {
      expect(lower).toBeLessThanOrEqual(value);
      expect(value).toBeLessThanOrEqual(upper);
      expect(confidence).toBeGreaterThanOrEqual(0);
      expect(confidence).toBeLessThanOrEqual(1);
      expect(value).toBeCloseTo(BASELINE * (1 + drift / 100), 6);
    }
  }
  for (const query of [
    "?horizon=336.5",
    "?horizon=0",
    "?step=0",
    "?horizon=-1",
    "?method=tea",
    "?horizon=336&step=0.01",
  ])
    expect([query, (await ask("GET", path + query)).status]).toEqual([query, 422]);

  const far = await predict("?horizon=336&step=24");
  expect(far).toMatchObject({
    method: "blend",
    model_version: 1,
    fallback_reason: null,
    baseline: BASELINE,
    unreferenced: true,
    remark: null,
  });
  expect(far.slope.percent_per_day).toBeCloseTo(PERCENT_PER_DAY, 1);
  expect(far.slope.lower).toBeLessThanOrEqual(far.slope.percent_per_day);
  expect(far.slope.percent_per_day).toBeLessThanOrEqual(far.slope.upper);
  expect(far.skill).toBeGreaterThan(0);
  // At 9 % now, a fortnight later it is about 13.
  expect(far.predictions.at(-1).drift).toBeGreaterThan(11);
  expect(far.predictions.at(-1).drift).toBeLessThan(15);
  const { t10, t50, t90 } = far.time_to_tolerance;
  expect(t50 / 24).toBeGreaterThan(8);
  expect(t50 / 24).toBeLessThan(12);
  expect(t10).toBeLessThan(t50);
  expect(t90 ?? Infinity).toBeGreaterThan(t50);
  // Confidence is what the band leaves of the tolerance: a smaller one leaves less; farther ahead is never surer.
  const sure = far.predictions.map(({ confidence }: { confidence: number }) => confidence);
  expect(sure.toSorted((a: number, b: number) => b - a)).toEqual(sure);
  await ask("PATCH", "/api/sensors/1/", { settings: { tolerance: TOLERANCE / 4 } });
  const narrow = await predict("?horizon=336&step=24");
  expect(narrow.predictions[0].confidence).toBeLessThan(sure[0]);
  expect(narrow.time_to_tolerance).toMatchObject({ t10: 0, t50: 0 });
  await ask("PATCH", "/api/sensors/1/", { settings: { tolerance: null } });
  expect((await predict()).time_to_tolerance).toBeNull();

  for (const method of ["linear_regression", "blend"])
    expect(await predict(`?method=${method}&horizon=6`)).toMatchObject({
      method,
      model_version: 1,
      fallback_reason: null,
    });
});

it("begins anew at a calibration: baseline, drift and what is foreseen", async () => {
  expect(await ask("PATCH", "/api/sensors/1/", { baseline: null })).toMatchObject({ status: 200 });
  // The reference agrees with what is measured now: from here on this is where the sensor stands.
  await ask("POST", "/api/calibrations/", {
    sensor_id: 1,
    corrected_value: 200,
    applied_at: new Date(NOW).toISOString(),
  });
  const level = crept(DAYS * 24);
  const sensor = { site: "main", key: "1" };
  const minutes = Math.floor((Date.now() - NOW) / 60_000);
  // Hours since then have not passed yet: a handful of readings of this hour are all there is.
  await plant.publish(
    sensor,
    Array.from({ length: 12 }, (_, n) => ({
      value: level + 0.1 * Math.sin(n),
      timestamp: NOW + Math.floor(((minutes * 60_000) / 12) * n) + n,
    })),
  );
  await expect.poll(async () => Math.abs((await sensorNow()).drift), { timeout: WAIT_MS }).toBeLessThan(0.5);
  expect((await sensorNow()).baseline).toBeCloseTo(level, 0);
  const crossed = async () => {
    const { body } = (await plant.allSaid("EVENTS", "events.drift.main.1")).at(-1)!;
    return [body.level, body.direction];
  };
  await expect.poll(crossed, { timeout: WAIT_MS }).toEqual([5, "down"]);
  // The month before no longer counts for what comes; the answer says so, and has a reference now.
  expect(await predict("?horizon=336&step=24")).toMatchObject({
    method: "trend",
    model_version: null,
    fallback_reason: "insufficient_history",
    unreferenced: false,
  });
});

it("of fewer than ten readings nobody says a drift, and from the tenth on all say the same one", async () => {
  const { body: sensor } = await ask("POST", "/api/sensors/", { id: 2, name: "New", type: "Pressure" });
  const readings = Array.from({ length: 10 }, (_, n) => ({ value: 10 + n, timestamp: START + n * HOUR_MS }));
  const told = async () => {
    const { body: shown } = await ask("GET", "/api/sensors/2/");
    const { body: foreseen } = await ask("GET", "/api/sensors/2/drift-prediction/");
    return [shown.baseline, shown.drift, foreseen.baseline, foreseen.current_drift];
  };
  await plant.publish(sensor, readings.slice(0, 9));
  await expect.poll(told, { timeout: WAIT_MS }).toEqual([14, null, 14, null]);
  await plant.publish(sensor, readings.slice(9));
  await expect.poll(told, { timeout: WAIT_MS }).toEqual([14.5, 0, 14.5, 0]);
});
