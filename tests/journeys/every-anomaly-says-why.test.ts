/**
 *   what a sensor should not say ──▶ anomaly ──▶ GET /api/anomalies/: by which method, in data and in one sentence why,
 *                                       └──events.anomaly.<site>.<key>──▶ opened · updated, once it has a type · resolved
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

const MINUTE_MS = 60_000;
const START = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 1_000 * MINUTE_MS;
/** Readings of which a sensor has made itself known. */
const KNOWN = 60;
/** By the value alone, so that it is the same at any time of the day. */
const SETTINGS = { features: ["value"] };

let plant: Plant;
let ask: Ask;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  plant = stack.use(await openPlant({ partitions: 2, services: ["ingest", "anomaly", "trainer"] }));
  ({ ask } = await openGateway(plant));
});
afterAll(() => stack.disposeAsync());

/** Two waves that never meet again, and no noise: the same wherever it runs. */
const usual = (n: number): number => 50 + 2 * Math.sin(n / 30) + 0.5 * Math.sin(n * 1.7);

async function aSensor(id: number, more: { settings?: object } = {}, known: number = KNOWN) {
  const { body } = await ask("POST", "/api/sensors/", {
    id,
    name: `Sensor ${id}`,
    type: "Flow",
    ...more,
    settings: { ...SETTINGS, ...more.settings },
  });
  let said = 0;
  const say = async (values: readonly number[]): Promise<void> => {
    const from = said;
    said += values.length;
    await plant.publish(
      body,
      values.map((value, n) => ({ value, timestamp: START + (from + n) * MINUTE_MS })),
    );
  };
  const sayUsual = (count: number) => say(Array.from({ length: count }, (_, k) => usual(said + k)));
  await sayUsual(known);
  await expect
    .poll(() => plant.rows("select readings::int from sensor_latest where sensor_id = $1", [id]), { timeout: WAIT_MS })
    .toEqual([{ readings: known }]);
  return { ...body, say, sayUsual };
}

/** The newest anomaly of a sensor, once it is like that. */
async function anomalyOf(id: number, like: object): Promise<any> {
  const newest = async () => (await ask("GET", `/api/anomalies/?sensor_id=${id}&limit=1`)).body.results[0];
  await expect.poll(newest, { timeout: WAIT_MS }).toMatchObject(like);
  return newest();
}

describe("an anomaly", () => {
  it.each([
    {
      id: 1,
      rule: "flat_line",
      said: [50, 50, 50, 50, 50, 50, 50],
      is: { type: "Dropout", value: 50 },
      sentence: /^50 measured.*: the same value \d+ times in a row, where 1 were the most before\.$/,
    },
    {
      id: 2,
      rule: "sentinel",
      said: [-9999],
      is: { type: "Dropout", value: -9999 },
      sentence: /^-9999 measured, where [\d.]+ is usual: -9999 is what an instrument sends in place of a value\.$/,
    },
    {
      id: 3,
      rule: "range",
      more: { range_min: 0, range_max: 60 },
      said: [61],
      is: { value: 61 },
      sentence: /^61 measured.*: above the range, which ends at 60\.$/,
    },
    {
      id: 4,
      rule: "rate",
      more: { settings: { rate_per_minute_max: 5 } },
      said: [58],
      is: { value: 58 },
      sentence: /^58 measured, where [\d.]+ is usual: a change of [\d.]+ a minute, where 5 is the most\.$/,
    },
  ])("by the rule $rule needs no training, is an alarm, and says what was wrong", async (one) => {
    const sensor = await aSensor(one.id, one.more ?? {});
    await sensor.say(one.said);
    const anomaly = await anomalyOf(one.id, { method: "rule", alarm: true });
    expect(anomaly).toMatchObject({
      ...one.is,
      resolved: false,
      model_version: null,
      explanation: {
        sentence: expect.stringMatching(one.sentence) as string,
        rules: expect.arrayContaining([expect.objectContaining({ rule: one.rule })]) as object[],
      },
    });
    // It ends by itself, and then it has a type.
    await sensor.sayUsual(13);
    const over = await anomalyOf(one.id, { resolved: true, resolved_by: "itself" });
    expect(over.type).not.toBeNull();
  });

  it("by the recent median alone, while there is no forest, is a flag, and says so", async () => {
    const sensor = await aSensor(11);
    await sensor.say([62]);
    expect(await anomalyOf(11, { value: 62 })).toMatchObject({
      method: "threshold",
      alarm: false,
      severity: "Low",
      type: null,
      model_version: null,
      explanation: {
        sentence: expect.stringMatching(
          /^62 measured, where [\d.]+ is usual: score [\d.]+, above the threshold 3\.5 \(threshold\)\.$/,
        ) as string,
        model: { method: "threshold", threshold: 3.5, version: null },
        band: [expect.any(Number) as number, expect.any(Number) as number],
        fallback_reason: "model_missing",
      },
    });
  });

  it("by the forest is a flag with what each feature had to do with it", async () => {
    const sensor = await aSensor(12);
    await ask("POST", "/api/model-training/", { sensor_id: 12, model_type: "anomaly" });
    await sensor.say([62]);
    const { explanation, ...anomaly } = await anomalyOf(12, { value: 62 });
    expect(anomaly).toMatchObject({ method: "isolation_forest", alarm: false, severity: "Low", model_version: 1 });
    expect(anomaly.deviation).toBeCloseTo(62 - anomaly.expected, 9);
    expect(explanation).toMatchObject({
      sentence: expect.stringMatching(/^62 measured.*\(isolation forest\)\.$/) as string,
      model: { method: "isolation_forest", version: 1, score: anomaly.score },
    });
    expect(explanation.fallback_reason).toBeUndefined();
    const shares: { feature: string; share: number }[] = explanation.features;
    expect(Object.fromEntries(shares.map(({ feature, share }) => [feature, share]))).toEqual({
      value: 1,
      hour_of_day: 0,
      day_of_week: 0,
    });
  });

  it("by novelty is an alarm without a type, which gets one when there is enough to see, and is graded again", async () => {
    const sensor = await aSensor(13, {}, 500);
    await sensor.say(Array.from({ length: 8 }, (_, k) => usual(500 + k) + 12));
    expect(await anomalyOf(13, { method: "novelty", alarm: true })).toMatchObject({ type: null, severity: "Medium" });
    await sensor.say(Array.from({ length: 120 }, (_, k) => usual(508 + k) + 12));
    const decided = await anomalyOf(13, { type: "Calibration Error" });
    expect(decided).toMatchObject({
      alarm: true,
      explanation: {
        sentence: expect.stringMatching(/unlike this sensor's own history/) as string,
        novelty: { contributions: expect.any(Array) as object[] },
        statistics: { jump: expect.any(Number) as number },
      },
    });
    const events = (await plant.allSaid("EVENTS", "events.anomaly.main.13"))
      .map(({ body }) => body)
      .filter(({ id }) => id === decided.id);
    expect(events[0]).toMatchObject({ event: "opened", type: null });
    const named = events.findIndex(({ type }) => type !== null);
    expect(events[named]).toMatchObject({ event: "updated", type: "Calibration Error", alarm: true });
    expect(events.slice(named).every(({ type }) => type !== null)).toBe(true);
  });
});
