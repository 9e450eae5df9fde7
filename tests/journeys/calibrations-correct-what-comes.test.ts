/**
 *   POST /api/calibrations/ ──▶ the next readings ──▶ corrected.<site>.<key>, GET /api/readings/: by which method and version
 *        └──▶ trainer: robust, and it names what does not fit ──▶ beyond what was calibrated the tangent, and it says so
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

const HOUR_MS = 3_600_000;
const START = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 1_000 * HOUR_MS;
const at = (hour: number): string => new Date(START + hour * HOUR_MS).toISOString();

let plant: Plant;
let ask: Ask;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  plant = stack.use(await openPlant({ partitions: 2, services: ["ingest", "calibration", "trainer"] }));
  ({ ask } = await openGateway(plant));
});
afterAll(() => stack.disposeAsync());

interface Sensor {
  id: number;
  site: string;
  key: string;
}
const aSensor = async (id: number): Promise<Sensor> =>
  (await ask("POST", "/api/sensors/", { id, name: `Sensor ${id}`, type: "Flow" })).body;
const calibrate = (id: number, hour: number, corrected: number, more: object = {}) =>
  ask("POST", "/api/calibrations/", { sensor_id: id, corrected_value: corrected, applied_at: at(hour), ...more });
const correct = async (id: number, raw: number) =>
  (await ask("POST", `/api/sensors/${id}/correct/`, { raw_value: raw })).body;
const train = async (id: number) =>
  (await ask("POST", "/api/model-training/", { sensor_id: id, model_type: "calibration" })).body.results.calibration;

/** One calibration each ten hours, after three readings of what the sensor said then; the reference says what `truth` makes of it. */
async function calibrated(sensor: Sensor, raws: readonly number[], truth: (raw: number, n: number) => number) {
  await plant.publish(
    sensor,
    raws.flatMap((value, n) => [1, 2, 3].map((k) => ({ value, timestamp: at(10 * n + k) }))),
  );
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings where sensor_id = $1", [sensor.id]), {
      timeout: WAIT_MS,
    })
    .toEqual([{ n: 3 * raws.length }]);
  for (const [n, raw] of raws.entries()) await calibrate(sensor.id, 10 * n + 4, truth(raw, n));
}

/** What the reading of an hour was corrected to, in REST and on NATS. */
async function correctedAt(sensor: Sensor, hour: number, raw: number) {
  await plant.publish(sensor, { value: raw, timestamp: at(hour) });
  const query = `/api/readings/?sensor_id=${sensor.id}&from=${at(hour)}&to=${at(hour + 0.5)}`;
  await expect
    .poll(async () => (await ask("GET", query)).body.results[0]?.corrected_value ?? null, { timeout: WAIT_MS })
    .not.toBeNull();
  const said = async () => {
    const all = await plant.allSaid("CORRECTED", `corrected.${sensor.site}.${sensor.key}`);
    return all.map(({ body }) => body).find(({ timestamp }) => timestamp === at(hour));
  };
  await expect.poll(said, { timeout: WAIT_MS }).toBeDefined();
  return { shown: (await ask("GET", query)).body.results[0], said: await said() };
}

const RAWS = [10, 22, 14, 38, 30, 46, 18, 42, 26, 34, 12, 50];

it("a bad entry does not bend the line, and is named by its time; each corrected reading says its version", async () => {
  const sensor = await aSensor(1);
  // The truth is 2 + 1.1·raw, read off to a tenth or so; the sixth entry was read off another instrument.
  await calibrated(sensor, RAWS, (raw, n) => 2 + 1.1 * raw + 0.1 * Math.sin(n * 5) + (n === 5 ? 40 : 0));
  const { model } = await train(1);
  expect(model.params).toMatchObject({
    form: "huber_line",
    remarks: [
      expect.stringMatching(
        new RegExp(`^check the entry of ${at(54)}, raw 46 → 92\\.\\d+: it is 4\\d\\.\\d off the others$`),
      ) as string,
    ],
  });
  const answer = await correct(1, 30);
  expect(answer).toMatchObject({
    method: "robust_linear",
    model_version: 1,
    fallback_reason: null,
    extrapolated: false,
    remarks: model.params.remarks,
  });
  expect(answer.corrected_value).toBeCloseTo(35, 0);
  expect(answer.lower).toBeLessThan(35);
  expect(answer.upper).toBeGreaterThan(35);

  const first = await correctedAt(sensor, 200, 30);
  expect(first.shown).toMatchObject({ raw_value: 30, method: "robust_linear", model_version: 1, extrapolated: false });
  expect(first.said).toEqual({
    sensor_id: 1,
    timestamp: at(200),
    raw_value: 30,
    corrected_value: first.shown.corrected_value,
    method: "robust_linear",
    model_version: 1,
  });
  await calibrate(1, 201, 35);
  await train(1);
  expect((await correctedAt(sensor, 202, 30)).said).toMatchObject({ model_version: 2 });
  // What was corrected before stays as it was, and says so.
  expect((await ask("GET", `/api/readings/?sensor_id=1&from=${at(200)}&to=${at(201)}`)).body.results[0]).toMatchObject({
    model_version: 1,
  });
});

it("what a model is worth is measured on calibrations it has not seen; of a sensor that is right there is nothing to say", async () => {
  const [off, right] = [await aSensor(4), await aSensor(5)];
  await calibrated(off, RAWS, (raw, n) => raw + 3 + 0.1 * Math.sin(n * 5));
  await calibrated(right, RAWS, (raw) => raw);
  const { model } = await train(4);
  expect(model.params.form).toBe("offset");
  const { rmse_before: before, rmse_after: after, improvement } = model.metrics;
  expect(before).toBeCloseTo(3, 0);
  expect(after).toBeLessThan(0.15);
  expect(improvement).toBeCloseTo(1 - after / before, 9);
  expect((await train(5)).model).toMatchObject({
    params: { form: "identity", remarks: [] },
    metrics: {
      rmse_before: 0,
      rmse_after: 0,
      improvement: null,
      reason: "the raw values were already right",
      samples: 12,
    },
  });
  expect(await correct(5, 21)).toMatchObject({ corrected_value: 21, method: "identity", model_version: 1 });
});

it("beyond what was calibrated a bent sensor is followed along its tangent, and every answer says so", async () => {
  const sensor = await aSensor(2);
  const truth = (raw: number): number => 5 + raw + 0.02 * raw * raw;
  await calibrated(sensor, RAWS, (raw, n) => truth(raw) + 0.01 * Math.sin(n * 5));
  expect((await train(2)).model.params.form).toBe("parabola");
  const inside = await correctedAt(sensor, 200, 40);
  expect(inside.shown).toMatchObject({ method: "polynomial", model_version: 1, extrapolated: false });
  expect(inside.said).not.toHaveProperty("extrapolated");
  expect(inside.shown.corrected_value).toBeCloseTo(truth(40), 1);

  // It was calibrated from 10 to 50; a tenth of that more is believed.
  const end = 54;
  const slope = 1 + 2 * 0.02 * end;
  const outside = await correctedAt(sensor, 201, 100);
  expect(outside.shown).toMatchObject({ method: "polynomial", model_version: 1, extrapolated: true });
  expect(outside.said).toMatchObject({ extrapolated: true, model_version: 1 });
  expect(outside.shown.corrected_value).toBeCloseTo(truth(end) + slope * (100 - end), 0);
  expect(Math.abs(outside.shown.corrected_value - truth(100))).toBeGreaterThan(30);
  const [near, far] = [await correct(2, 53), await correct(2, 56)];
  expect(near.extrapolated).toBe(false);
  expect(far.extrapolated).toBe(true);
  expect(far.upper - far.lower).toBeGreaterThan(1.9 * (near.upper - near.lower));
});

it("what a person gave as a polynomial or as a table is applied as it is, from its time on, before any model", async () => {
  const sensor = await aSensor(3);
  await calibrated(sensor, RAWS, (raw) => 2 * raw);
  await train(3);
  expect((await correctedAt(sensor, 200, 20)).said).toMatchObject({
    corrected_value: expect.closeTo(40, 6) as number,
    method: "linear_regression",
    model_version: 1,
  });

  await calibrate(3, 210, 1, { method: "polynomial", params: { coefficients: [1, 2, 3] } });
  expect((await correctedAt(sensor, 211, 10)).said).toEqual({
    sensor_id: 3,
    timestamp: at(211),
    raw_value: 10,
    corrected_value: 321,
    method: "polynomial",
    model_version: null,
  });
  // A reading from before it is none of its business.
  expect((await correctedAt(sensor, 209, 10)).said).toMatchObject({
    corrected_value: expect.closeTo(20, 6) as number,
    model_version: 1,
  });

  await calibrate(3, 220, 1, {
    method: "custom",
    params: {
      points: [
        [20, 100],
        [0, 0],
        [10, 90],
      ],
    },
  });
  for (const [hour, raw, corrected] of [
    [221, 10, 90],
    [222, 5, 45],
    [223, 15, 95],
    [224, 30, 110],
    [225, -1, -9],
  ] as const) {
    const { said, shown } = await correctedAt(sensor, hour, raw);
    expect(said).toMatchObject({ corrected_value: corrected, method: "custom", model_version: null });
    expect(shown).toMatchObject({
      corrected_value: corrected,
      method: "custom",
      model_version: null,
      extrapolated: false,
    });
  }
  expect(await correct(3, 5)).toMatchObject({
    corrected_value: 45,
    method: "custom",
    model_version: null,
    fallback_reason: null,
  });
  for (const params of [
    {
      points: [
        [1, 2],
        [1, 3],
      ],
    },
    { points: [[1]] },
    { coefficients: [1] },
    { points: [] },
    7,
  ])
    expect((await calibrate(3, 230, 1, { method: "custom", params })).status).toBe(422);
});
