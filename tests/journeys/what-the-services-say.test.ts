/**
 *   a plant, its calibrations and its models ──▶ the services ──┬─▶ corrected.<site>.<key>        CORRECTED
 *                                                               ├─▶ events.anomaly.<site>.<key>   EVENTS
 *                                                               ├─▶ events.drift.<site>.<key>     EVENTS
 *                                                               ├─▶ events.model.<type>.<id>      EVENTS
 *                                                               └─▶ events.sensor.<site>.<key>    EVENTS
 *
 * One plant for all: what is said of each subject, in order, each with an id of its own; with a model and without.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

let plant: Plant;
let ask: Ask;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  plant = stack.use(
    await openPlant({ partitions: 2, services: ["ingest", "anomaly", "drift", "calibration", "trainer"] }),
  );
  ({ ask } = await openGateway(plant));
});
afterAll(() => stack.disposeAsync());

const aSensor = async (id: number, more: object = {}) =>
  (await ask("POST", "/api/sensors/", { id, name: `Sensor ${id}`, type: "Temperature", site: "north", ...more })).body;

/** What was said on a subject, once it is so many; each has its own id. */
async function said(stream: string, subject: string, count: number): Promise<any[]> {
  await expect
    .poll(async () => (await plant.allSaid(stream, subject)).length, { timeout: WAIT_MS, message: subject })
    .toBe(count);
  const all = await plant.allSaid(stream, subject);
  expect(new Set(all.map(({ id }) => id)).size).toBe(count);
  expect(all.every(({ id }) => id.length > 0)).toBe(true);
  return all.map(({ body }) => body);
}

it("events.sensor: made, changed, another status, deleted", async () => {
  const made = await aSensor(1, { expected_interval_s: 3_600 });
  const { body: changed } = await ask("PATCH", "/api/sensors/1/", { name: "Uno" });
  expect(await said("EVENTS", "events.sensor.north.1", 2)).toEqual([
    { event: "created", ...made },
    { event: "changed", ...changed },
  ]);
  await plant.publish(made, { value: 20 });
  const [, , status] = await said("EVENTS", "events.sensor.north.1", 3);
  expect(status).toMatchObject({ event: "status_changed", id: 1, status: "online", value: 20 });
  expect((await ask("DELETE", "/api/sensors/1/?force=true")).status).toBe(204);
  const [, , , deleted] = await said("EVENTS", "events.sensor.north.1", 4);
  expect(deleted).toMatchObject({ event: "deleted", id: 1, name: "Uno" });
});

it("events.sensor: a status that comes again within a minute is said again, whichever of two gateways saw what was between", async () => {
  await openGateway(plant);
  const sensor = await aSensor(9, { expected_interval_s: 3_600 });
  await plant.publish(sensor, { value: 20 });
  // Of both gateways: at the turn of a minute each may say the same.
  const last = async () => (await plant.lastSaid("EVENTS", "events.sensor.north.9"))?.["status"];
  await expect.poll(last, { timeout: WAIT_MS }).toBe("online");
  for (let time = 1; time <= 3; time++) {
    await plant.rows(
      `insert into anomalies (sensor_id, severity, resolved, timestamp, last_seen, count, method, alarm, explanation)
       values (9, 'Medium', false, now(), now(), 1, 'rule', true, '{}')`,
    );
    await expect.poll(last, { timeout: WAIT_MS }).toBe("warning");
    await plant.rows("update anomalies set resolved = true where sensor_id = 9");
    await expect.poll(last, { timeout: WAIT_MS }).toBe("online");
  }
});

it("corrected: one message for each, in its form and order: as measured, by the latest calibration, by the model", async () => {
  const sensor = await aSensor(2);
  const start = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 100 * HOUR_MS;
  const at = (hour: number) => new Date(start + hour * HOUR_MS).toISOString();
  await plant.publish(sensor, { value: 10, timestamp: at(0) });
  await plant.publish(sensor, [
    { value: 12, timestamp: at(2) },
    { value: 11, timestamp: at(1) },
  ]);
  await plant.publish(sensor, { value: 99, timestamp: at(0) });
  const identity = (hour: number, value: number) => ({
    sensor_id: 2,
    timestamp: at(hour),
    raw_value: value,
    corrected_value: value,
    method: "identity",
    model_version: null,
  });
  expect(await said("CORRECTED", "corrected.north.2", 2)).toEqual([
    identity(0, 10),
    [identity(2, 12), identity(1, 11)],
  ]);

  // The sensor shows half of what is there, and one more calibration says so each five hours.
  for (let n = 1; n <= 5; n++) {
    const values = [n, n, n].map((value, k) => ({ value: 20 + value, timestamp: at(5 * n + k) }));
    await plant.publish(sensor, values);
    await ask("POST", "/api/calibrations/", {
      sensor_id: 2,
      corrected_value: 2 * (20 + n),
      applied_at: at(5 * n + 3),
      ...(n === 5 ? { params: { slope: 2, intercept: 0.5 } } : {}),
    });
  }
  await plant.publish(sensor, { value: 30, timestamp: at(40) });
  expect((await said("CORRECTED", "corrected.north.2", 8)).at(-1)).toMatchObject({
    raw_value: 30,
    corrected_value: 60.5,
    method: "latest_calibration",
    model_version: null,
  });
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings where sensor_id = 2"), { timeout: WAIT_MS })
    .toEqual([{ n: 19 }]);
  const { body: trained } = await ask("POST", "/api/model-training/", { sensor_id: 2, model_type: "calibration" });
  expect(trained.results.calibration.status).toBe("trained");
  expect(await said("EVENTS", "events.model.calibration.2", 2)).toEqual([
    { event: "trained", ...trained.results.calibration.model },
    { event: "promoted", ...trained.results.calibration.model },
  ]);
  await plant.publish(sensor, { value: 30, timestamp: at(41) });
  const learnt = (await said("CORRECTED", "corrected.north.2", 9)).at(-1);
  expect(learnt).toMatchObject({ raw_value: 30, method: "linear_regression", model_version: 1 });
  expect(learnt.corrected_value).toBeCloseTo(60, 6);
  // A model that was damaged where it lies is refused; the calibrations answer again.
  const { body: correction } = await ask("POST", "/api/sensors/2/correct/", { raw_value: 30 });
  expect(correction).toMatchObject({ method: "linear_regression", model_version: 1, fallback_reason: null });
  await plant.rows(
    "update model_artifacts set artifact = set_byte(artifact, 40, 255 - get_byte(artifact, 40)) where sensor_id = 2",
  );
  expect((await ask("POST", "/api/sensors/2/correct/", { raw_value: 30 })).body).toMatchObject({
    corrected_value: 60.5,
    method: "latest_calibration",
    fallback_reason: "model_damaged",
  });
});

it("events.drift: a level is crossed, up and down; what is predicted comes from the model once there is one", async () => {
  const sensor = await aSensor(3, { baseline: 100, settings: { drift_levels: [5, 10] } });
  const start = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 200 * HOUR_MS;
  let hours = 0;
  const hold = async (value: number, count: number): Promise<void> => {
    const from = hours;
    hours += count;
    await plant.publish(
      sensor,
      Array.from({ length: count }, (_, n) => ({
        value: value + 0.1 * Math.sin((from + n) * 1.7),
        timestamp: start + (from + n) * HOUR_MS,
      })),
    );
  };
  await hold(100, 30);
  await hold(107, 30);
  await hold(115, 30);
  await hold(100, 30);
  const crossings = await said("EVENTS", "events.drift.north.3", 4);
  expect(crossings.map(({ level, direction }) => [level, direction])).toEqual([
    [5, "up"],
    [10, "up"],
    [10, "down"],
    [5, "down"],
  ]);
  expect(crossings[0]).toEqual({
    event: "level_crossed",
    sensor_id: 3,
    timestamp: expect.stringMatching(/T\d\d:00:00\.000Z$/) as string,
    drift: expect.toSatisfy((drift: number) => drift >= 5 && drift < 8) as number,
    level: 5,
    direction: "up",
  });
  const predict = async () => (await ask("GET", "/api/sensors/3/drift-prediction/?horizon=6")).body;
  // drift may be ahead of ingest, whose readings this rests on too.
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings where sensor_id = 3"), { timeout: WAIT_MS })
    .toEqual([{ n: 120 }]);
  expect(await predict()).toMatchObject({ method: "trend", model_version: null, fallback_reason: "model_missing" });
  expect((await ask("POST", "/api/model-training/", { sensor_id: 3, model_type: "drift" })).status).toBe(200);
  const learnt = await predict();
  expect(learnt).toMatchObject({ model_version: 1, fallback_reason: null });
  expect(["linear_regression", "blend"]).toContain(learnt.method);
  expect(learnt.predictions[0]).toMatchObject({
    timestamp: new Date(start + hours * HOUR_MS).toISOString(),
    drift: expect.any(Number) as number,
  });
  expect((await said("EVENTS", "events.model.drift.3", 2)).map(({ event }) => event)).toEqual(["trained", "promoted"]);
});

it("events.anomaly: opened, updated, resolved; judged by the threshold, then by the forest that was trained", async () => {
  const sensor = await aSensor(4, { range_min: 0, range_max: 100 });
  const start = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 200 * MINUTE_MS;
  const at = (minute: number) => start + minute * MINUTE_MS;
  const calm = (minute: number) => ({
    value: 20 + Math.sin(minute / 7) + 0.3 * Math.sin(minute * 1.7),
    timestamp: at(minute),
  });
  await plant.publish(
    sensor,
    Array.from({ length: 120 }, (_, n) => calm(n)),
  );
  const detect = async () =>
    (await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 4, value: 60, timestamp: at(119) })).body;
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings where sensor_id = 4"), { timeout: WAIT_MS })
    .toEqual([{ n: 120 }]);
  expect(await detect()).toMatchObject({
    method: "threshold",
    fallback_reason: "model_missing",
    results: [{ is_anomaly: true }],
  });
  const before = (await plant.allSaid("EVENTS", "events.anomaly.north.4")).length;
  // Strange to the threshold only, then beyond what the sensor can measure: that is an alarm.
  await plant.publish(sensor, { value: 60, timestamp: at(120) });
  await plant.publish(sensor, { value: 140, timestamp: at(121) });
  for (let minute = 122; minute <= 140; minute++) await plant.publish(sensor, calm(minute));
  await expect
    .poll(async () => (await plant.lastSaid("EVENTS", "events.anomaly.north.4"))?.["event"], { timeout: WAIT_MS })
    .toBe("resolved");
  const episode = (await plant.allSaid("EVENTS", "events.anomaly.north.4")).slice(before).map(({ body }) => body);
  const { body: shown } = await ask("GET", "/api/anomalies/?sensor_id=4&alarm=true&limit=1");
  expect(episode.map(({ event }) => event)).toEqual(["opened", "updated", "resolved"]);
  expect(episode[0]).toMatchObject({ sensor_id: 4, value: 60, resolved: false, alarm: false, method: "threshold" });
  expect(episode[1]).toMatchObject({ id: episode[0].id, value: 140, resolved: false, alarm: true });
  expect(episode[2]).toEqual({ event: "resolved", ...shown.results[0] });
  expect(shown.results[0]).toMatchObject({ resolved: true, resolved_by: "itself", type: "Spike" });

  expect((await ask("POST", "/api/model-training/", { sensor_id: 4, model_type: "anomaly" })).status).toBe(200);
  expect(await detect()).toMatchObject({
    method: "isolation_forest",
    model_version: 1,
    fallback_reason: null,
    results: [{ is_anomaly: true }],
  });
});
