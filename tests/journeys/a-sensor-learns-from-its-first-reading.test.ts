/**
 *   a new sensor's 1st, 10th, 100th and 300th reading ──▶ anomaly ──▶ sensor_status ──▶ gateway: "learning: n of N"
 *                                                            └──▶ who speaks by then: watchers, threshold, forest, novelty, alarms
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const ALARMS_FROM = 300;

/** Two waves that never meet again, and no noise: the same wherever it runs. */
const usual = (n: number): number => 50 + 2 * Math.sin(n / 30) + 0.5 * Math.sin(n * 1.7);

it("each stage of what a new sensor can be judged by is told, from its first reading on", async () => {
  await using plant = await openPlant({ partitions: 2, services: ["ingest", "anomaly", "trainer"] });
  const { ask } = await openGateway(plant);
  const { body: sensor } = await ask("POST", "/api/sensors/", {
    id: 1,
    name: "New",
    type: "Flow",
    range_min: 0,
    range_max: 100,
  });
  expect(sensor.learning).toBeNull();
  const start = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 900 * MINUTE_MS;
  let published = 0;
  const publish = async (values: readonly number[]): Promise<void> => {
    const from = published;
    published += values.length;
    await plant.publish(
      sensor,
      values.map((value, k) => ({ value, timestamp: start + (from + k) * MINUTE_MS })),
    );
  };
  const upTo = (count: number) => publish(Array.from({ length: count - published }, (_, k) => usual(published + k)));
  const learning = async () => (await ask("GET", "/api/sensors/1/")).body.learning;
  const isAt = (stage: string, readings: number) =>
    expect.poll(learning, { timeout: WAIT_MS }).toEqual({ stage, readings, of: ALARMS_FROM });
  const anomalies = async (query = ""): Promise<any[]> =>
    (await ask("GET", `/api/anomalies/?sensor_id=1&order=asc${query}`)).body.results;

  // The watchers need nothing: what cannot be is an alarm at once.
  await publish([140]);
  await isAt("watchers", 1);
  expect(await anomalies()).toMatchObject([
    { method: "rule", alarm: true, value: 140, severity: "Medium", explanation: { rules: [{ rule: "range" }] } },
  ]);
  await upTo(9);
  await isAt("watchers", 9);
  expect((await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 1, value: 90 })).body).toMatchObject({
    method: "threshold",
    fallback_reason: "insufficient_history",
    results: [{ is_anomaly: false, score: null, severity: null, expected: null }],
  });
  await upTo(10);
  await isAt("threshold", 10);
  await upTo(40);
  await isAt("threshold", 40);
  expect((await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 1, value: 90 })).body).toMatchObject({
    method: "threshold",
    fallback_reason: "model_missing",
    results: [{ is_anomaly: true, severity: "Low" }],
  });

  // Ten readings are enough for a forest, once somebody or the schedule trains it.
  expect(await ask("POST", "/api/model-training/", { sensor_id: 1, model_type: "anomaly" })).toMatchObject({
    status: 200,
    body: { results: { anomaly: { model: { samples: 40, version: 1 } } } },
  });
  await upTo(41);
  await isAt("isolation_forest", 41);
  await upTo(99);
  await isAt("isolation_forest", 99);
  await upTo(100);
  await isAt("novelty", 100);

  // The novelty detector listens and is mute: what is new to it by then is no alarm, however large.
  await upTo(200);
  await publish(Array.from({ length: 20 }, (_, k) => usual(published + k) + 30));
  await upTo(299);
  await isAt("novelty", 299);
  expect(await anomalies("&alarm=true")).toHaveLength(1);
  await upTo(300);
  await isAt("complete", 300);
  // And then what it has not met before is one.
  await upTo(700);
  await publish(Array.from({ length: 20 }, (_, k) => usual(published + k) - 30));
  await expect
    .poll(async () => (await anomalies("&alarm=true")).map(({ method }) => method), { timeout: WAIT_MS })
    .toEqual(["rule", "novelty"]);
  const [, alarm] = await anomalies("&alarm=true");
  expect(alarm.explanation).toMatchObject({
    sentence: expect.stringMatching(
      /measured.*: unlike this sensor's own history \(novelty [\d.]+, alarm at 7\.\d+\)/,
    ) as string,
    novelty: { threshold: expect.any(Number) as number, contributions: expect.any(Array) as object[] },
  });
  await isAt("complete", 300);
});

it("the false alarms that were promised stand beside those there were, of a sensor, its site and all", async () => {
  await using plant = await openPlant({ partitions: 2, services: ["ingest", "anomaly"] });
  const { ask } = await openGateway(plant);
  const made = async (id: number, site: string) =>
    (await ask("POST", "/api/sensors/", { id, site, name: `Sensor ${id}`, type: "Flow" })).body;
  const [sensor] = [await made(1, "north"), await made(2, "south")];
  expect(sensor.false_alarms).toMatchObject({
    budget_per_month: 1,
    promised_per_month: expect.closeTo(1, 6) as number,
    observed_per_month: null,
    alarms: 0,
    days: 0,
  });
  // Three days of one reading every five minutes, and a step in the last hours.
  const start = Math.floor(Date.now() / DAY_MS) * DAY_MS - 4 * DAY_MS;
  const count = (3 * DAY_MS) / (5 * MINUTE_MS);
  await plant.publish(
    sensor,
    Array.from({ length: count }, (_, n) => ({
      value: usual(n) + (n > count - 40 ? 30 : 0),
      timestamp: start + n * 5 * MINUTE_MS,
    })),
  );
  const seen = async () => (await ask("GET", "/api/sensors/1/")).body.false_alarms;
  await expect.poll(async () => (await seen()).alarms, { timeout: WAIT_MS }).toBeGreaterThan(0);
  const { alarms, days, observed_per_month: observed } = await seen();
  expect(days).toBeCloseTo(3, 1);
  // A whole day since its alarms are told: it counts in its threshold.
  await expect.poll(async () => (await seen()).own_history_days, { timeout: WAIT_MS }).toBe(1);
  expect(observed).toBeCloseTo((alarms * 30) / days, 6);
  const { body } = await ask("GET", "/api/ml-analytics/");
  expect(body.false_alarms).toMatchObject({
    sensors: 2,
    promised_per_month: expect.closeTo(2, 6) as number,
    sensor_days: expect.closeTo(days, 6) as number,
    own_history_days: 1,
    promised_in_these_days: expect.closeTo(days / 30, 6) as number,
    alarms_in_these_days: alarms,
    by_site: { north: { sensors: 1, alarms_in_these_days: alarms }, south: { sensors: 1, alarms_in_these_days: 0 } },
  });

  // A smaller budget asks for more before it alarms, from the next reading on.
  await ask("PUT", "/api/sites/north/false-alarm-budget/", { false_alarms_per_month: 0.5 });
  const changed = await seen();
  expect(changed.threshold).toBeGreaterThan(sensor.false_alarms.threshold);
  expect(changed.promised_per_month).toBeCloseTo(0.5, 6);
});
