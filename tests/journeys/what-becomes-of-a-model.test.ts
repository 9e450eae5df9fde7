/**
 *   POST /api/model-training/ ──▶ trainer ──▶ model_artifacts: where it comes from, what it was measured at, whether it is in force and why
 *                                    └──events.model.<type>.<id>──▶ every replica judges, predicts and corrects by it, or says why not
 */
import { ARTIFACT_FORMAT_VERSION } from "@calibration/models/artifact.ts";
import { findDue } from "@calibration/shared/training.ts";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant, type RunningService, type ServiceName } from "../support/plant.ts";
import { openGateway, type Ask } from "../support/rest.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const SERVICES = ["ingest", "anomaly", "drift", "calibration", "trainer"] as const;
const NOW = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;

let plant: Plant;
let ask: Ask;
const services = new Map<ServiceName, RunningService>();
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  plant = stack.use(await openPlant({ partitions: 2 }));
  for (const name of SERVICES) services.set(name, await plant.start(name));
  ({ ask } = await openGateway(plant));
});
afterAll(() => stack.disposeAsync());

const aSensor = async (id: number, settings: object = {}) =>
  (await ask("POST", "/api/sensors/", { id, name: `Sensor ${id}`, type: "Temperature", settings })).body;

/** A slow wave and a fast one, with no noise: the same wherever it runs. */
const usual = (n: number): number => 20 + Math.sin(n / 30) + 0.3 * Math.sin(n * 1.7);

async function publish(sensor: { id: number; site: string; key: string }, values: readonly number[], fromMs: number) {
  await plant.publish(
    sensor,
    values.map((value, n) => ({ value, timestamp: fromMs + n * MINUTE_MS })),
  );
  const text = "select count(*)::int n from readings where sensor_id = $1 and timestamp >= to_timestamp($2 / 1000.0)";
  await expect.poll(() => plant.rows(text, [sensor.id, fromMs]), { timeout: WAIT_MS }).toEqual([{ n: values.length }]);
}

const train = async (sensorId: number, type: string) =>
  (await ask("POST", "/api/model-training/", { sensor_id: sensorId, model_type: type })).body.results[type];
const models = async (sensorId: number, type: string): Promise<any[]> =>
  (await ask("GET", `/api/model-training/?sensor_id=${sensorId}&model_type=${type}&limit=1000`)).body.results;
const versions = (list: readonly { version: number; current: boolean }[]) =>
  list.map(({ version, current }) => (current ? `${version} in force` : `${version}`));
const analytics = async () => (await ask("GET", "/api/ml-analytics/")).body;

describe("a model", () => {
  it("is nobody's invention: where nothing was measured there is no figure, and the reason stands beside it", async () => {
    const before = await analytics();
    for (const [figure, type] of [
      ["anomaly_detection_rate", "anomaly"],
      ["drift_prediction_accuracy", "drift"],
      ["calibration_improvement", "calibration"],
    ] as const)
      expect(before[figure]).toMatchObject({ value: null, samples: 0, reason: `no ${type} model has been trained` });
    expect(before).toMatchObject({ models: { total: 0, due: 0 }, training: { runs: 0, failed: 0, short_of_data: 0 } });
    expect(Object.values(before.fallbacks).flatMap((one) => Object.values(one as object))).toEqual(
      Array.from({ length: 15 }, () => 0),
    );

    // Ten readings make a forest, and two of them are no hold-out.
    const sensor = await aSensor(1);
    await publish(
      sensor,
      Array.from({ length: 10 }, (_, n) => usual(n)),
      NOW - 10 * MINUTE_MS,
    );
    const { model } = await train(1, "anomaly");
    expect(model.metrics).toMatchObject({
      recall: null,
      flagged_share: null,
      intended_share: 0.1,
      reason: "the hold-out has 2 readings, and 10 are needed",
    });
    expect((await analytics()).anomaly_detection_rate).toMatchObject({
      value: null,
      reason: "the hold-out has 2 readings, and 10 are needed",
    });
  });

  it("is made as its sensor's settings say, and says where it comes from", async () => {
    const settings = { trees: 40, subsample: 64, contamination: 0.05, time_zone: "Asia/Tokyo", features: ["value"] };
    const sensor = await aSensor(2, settings);
    expect(sensor.settings).toMatchObject(settings);
    // Twelve days by the hour: warm by day, cold by night.
    const values = Array.from(
      { length: 288 },
      (_, n) => 20 + 8 * Math.sin((n * Math.PI) / 12) + 0.3 * Math.sin(n * 1.7),
    );
    const fromMs = Math.floor(NOW / HOUR_MS) * HOUR_MS - 288 * HOUR_MS;
    await plant.publish(
      sensor,
      values.map((value, n) => ({ value, timestamp: fromMs + n * HOUR_MS })),
    );
    await expect
      .poll(() => plant.rows("select count(*)::int n from readings where sensor_id = 2"), { timeout: WAIT_MS })
      .toEqual([{ n: 288 }]);

    const { model } = await train(2, "anomaly");
    const timesMs = Float64Array.from(values, (_, n) => fromMs + n * HOUR_MS);
    const digest = createHash("sha256").update(timesMs).update(Float64Array.from(values)).digest("hex");
    expect(model).toMatchObject({
      features: ["value"],
      samples: 288,
      trigger: "request",
      training_from: new Date(fromMs).toISOString(),
      training_to: new Date(fromMs + 287 * HOUR_MS).toISOString(),
      params: { trees: 40, subsample: 64, contamination: 0.05, time_zone: "Asia/Tokyo", seed: 42 },
    });
    expect(model.params.lineage).toEqual({
      training_from: model.training_from,
      training_to: model.training_to,
      rows: 288,
      data_sha256: digest,
      seed: 42,
      settings: { ...settings, seed: 42 },
      code_version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      artifact_format: ARTIFACT_FORMAT_VERSION,
      duration_ms: expect.any(Number) as number,
    });
    // A forest that looks at the value alone says the same of it by night and by day; one that looks at the hour does not.
    const scores = async () => {
      const readings = [3, 15].map((hour) => ({ value: 27, timestamp: fromMs + hour * HOUR_MS }));
      const { body } = await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 2, readings });
      return body.results.map(({ score }: { score: number }) => score) as [number, number];
    };
    const [byNight, byDay] = await scores();
    expect(byNight).toBe(byDay);
    await ask("PATCH", "/api/sensors/2/", { settings: { features: ["hour_of_day", "value"] } });
    expect((await train(2, "anomaly")).model.features).toEqual(["value", "hour_of_day"]);
    const [one, other] = await scores();
    expect(one).not.toBe(other);
    for (const features of [["hour_of_day"], [], ["value", "value"], ["value", "colour"]])
      expect((await ask("PATCH", "/api/sensors/2/", { settings: { features } })).status).toBe(422);
  });

  it("goes into force by itself where it is not worse, and the reason stands in words", async () => {
    // By the value alone, so that it is the same at any time of the day.
    const sensor = await aSensor(3, { features: ["value"] });
    await publish(
      sensor,
      Array.from({ length: 200 }, (_, n) => usual(n)),
      NOW - 300 * MINUTE_MS,
    );
    expect((await train(3, "anomaly")).model.params.promotion).toEqual({
      mode: "automatic",
      promoted: true,
      reason: "no model was in force",
      comparison: null,
    });
    // Nineteen newer readings compare nothing; twenty do.
    await publish(
      sensor,
      Array.from({ length: 19 }, (_, n) => usual(200 + n)),
      NOW - 100 * MINUTE_MS,
    );
    expect((await train(3, "anomaly")).model).toMatchObject({
      current: true,
      params: {
        promotion: {
          promoted: true,
          reason: "not comparable: 19 readings are newer than the model in force, and 20 are needed",
        },
      },
    });
    await publish(
      sensor,
      Array.from({ length: 60 }, (_, n) => usual(219 + n)),
      NOW - 80 * MINUTE_MS,
    );
    expect((await train(3, "anomaly")).model).toMatchObject({
      version: 3,
      current: true,
      params: {
        promotion: {
          promoted: true,
          reason: expect.stringMatching(
            /^not worse than the model in force: missed faults and unintended flags [\d.]+ against [\d.]+ on 60 newer readings$/,
          ) as string,
          comparison: { readings: 60 },
        },
      },
    });

    // One tree of two readings tells nothing from anything: it is kept, and stays out.
    await publish(
      sensor,
      Array.from({ length: 20 }, (_, n) => usual(279 + n)),
      NOW - 20 * MINUTE_MS,
    );
    await ask("PATCH", "/api/sensors/3/", { settings: { trees: 1, subsample: 2 } });
    const { model: worse } = await train(3, "anomaly");
    expect(worse).toMatchObject({
      version: 4,
      current: false,
      params: {
        promotion: {
          promoted: false,
          reason: expect.stringMatching(/^worse than the model in force: .* on 20 newer readings$/) as string,
        },
      },
    });
    expect(versions(await models(3, "anomaly"))).toEqual(["4", "3 in force", "2", "1"]);
    const events = async () =>
      (await plant.allSaid("EVENTS", "events.model.anomaly.3")).map(({ body }) => `${body.event} ${body.version}`);
    await expect
      .poll(events, { timeout: WAIT_MS })
      .toEqual(["trained 1", "promoted 1", "trained 2", "promoted 2", "trained 3", "promoted 3", "trained 4"]);
    // A person may know better.
    expect((await ask("POST", `/api/model-training/${worse.id}/promote/`, undefined, "operator")).body).toMatchObject({
      version: 4,
      current: true,
    });
    expect((await ask("POST", `/api/model-training/${worse.id}/rollback/`, undefined, "operator")).body).toMatchObject({
      version: 3,
      current: true,
    });
    await expect
      .poll(() => plant.lastSaid("EVENTS", "events.model.anomaly.3"), { timeout: WAIT_MS })
      .toMatchObject({ event: "rolled_back", version: 3, current: true });
  });

  it("waits for a person where its sensor says so, but for the first there is", async () => {
    const sensor = await aSensor(4, { promotion: "manual", features: ["value"] });
    await publish(
      sensor,
      Array.from({ length: 60 }, (_, n) => usual(n)),
      NOW - 60 * MINUTE_MS,
    );
    expect((await train(4, "anomaly")).model).toMatchObject({ version: 1, current: true });
    const { model } = await train(4, "anomaly");
    expect(model).toMatchObject({
      version: 2,
      current: false,
      params: { promotion: { mode: "manual", promoted: false, reason: "promotion is manual for this sensor" } },
    });
    const judgedBy = async () =>
      (await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 4, value: 20 })).body.model_version;
    expect(await judgedBy()).toBe(1);
    expect((await ask("POST", `/api/model-training/${model.id}/rollback/`)).body).toMatchObject({
      code: "conflict",
      detail: `model ${model.id} was never in force`,
    });
    expect(await ask("POST", `/api/model-training/${model.id}/promote/`, undefined, "viewer")).toMatchObject({
      status: 403,
    });
    expect(await ask("POST", `/api/model-training/${model.id}/promote/`)).toMatchObject({
      status: 200,
      body: { version: 2, current: true },
    });
    expect(await judgedBy()).toBe(2);
    // By the stream too: the next reading meets the one that was promoted.
    await plant.publish(sensor, { value: 60, timestamp: NOW });
    const explained =
      "select explanation->'model'->>'version' as version from anomalies where sensor_id = 4 and value = 60";
    await expect.poll(() => plant.rows(explained), { timeout: WAIT_MS }).toEqual([{ version: "2" }]);
  });

  it("is forgotten by number and by age, and never while it is in force or was just before", async () => {
    const sensor = await aSensor(5);
    await publish(
      sensor,
      Array.from({ length: 30 }, (_, n) => usual(n)),
      NOW - 30 * MINUTE_MS,
    );
    for (let version = 1; version <= 12; version++) await train(5, "anomaly");
    // All of them were in force within the month.
    expect(await models(5, "anomaly")).toHaveLength(12);
    await plant.rows(
      "update model_promotions set valid_from = valid_from - interval '60 days' where sensor_id = 5 and version <= 10",
    );
    await ask("PATCH", "/api/sensors/5/", { settings: { promotion: "manual" } });
    await train(5, "anomaly");
    const kept = await models(5, "anomaly");
    expect(kept.map(({ version }) => version)).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
    const oldest = kept.at(-1)!;
    expect((await ask("GET", `/api/model-training/${oldest.id - 1}/`)).status).toBe(404);

    // The oldest is put back and stays, though twelve newer ones are made; what it took the place of stays too.
    expect((await ask("POST", `/api/model-training/${oldest.id}/rollback/`)).body).toMatchObject({ version: 4 });
    for (let version = 14; version <= 25; version++) await train(5, "anomaly");
    await plant.rows("update model_promotions set valid_from = valid_from - interval '60 days' where sensor_id = 5");
    await train(5, "anomaly");
    expect(versions(await models(5, "anomaly"))).toEqual([
      ...[26, 25, 24, 23, 22, 21, 20, 19, 18, 17].map(String),
      "12",
      "4 in force",
    ]);
    expect(await ask("GET", `/api/model-training/${oldest.id}/artifact`)).toMatchObject({ status: 200 });
  });

  it("of another version of the format is refused by every service with a clear word, counted, and due", async () => {
    const sensor = await aSensor(6, { tolerance: 2 });
    const hourMs = Math.floor(NOW / HOUR_MS) * HOUR_MS;
    await publish(
      sensor,
      Array.from({ length: 300 }, (_, n) => usual(n)),
      hourMs - 300 * MINUTE_MS,
    );
    for (let n = 1; n <= 5; n++)
      await ask("POST", "/api/calibrations/", {
        sensor_id: 6,
        corrected_value: 21 + n,
        applied_at: new Date(hourMs - (300 - 10 * n) * MINUTE_MS).toISOString(),
      });
    await ask("POST", "/api/model-training/", { sensor_id: 6 });
    // As a release with another format would have left them: whole, and with their right checksum.
    await plant.rows(
      `update model_artifacts set artifact = set_byte(artifact, 4, ${ARTIFACT_FORMAT_VERSION + 1}) where sensor_id = 6`,
    );
    await plant.rows("update model_artifacts set sha256 = encode(sha256(artifact), 'hex') where sensor_id = 6");

    expect((await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 6, value: 20 })).body).toMatchObject({
      method: "threshold",
      model_version: null,
      fallback_reason: "model_incompatible",
    });
    expect((await ask("GET", "/api/sensors/6/drift-prediction/")).body).toMatchObject({
      method: "trend",
      model_version: null,
      fallback_reason: "model_incompatible",
    });
    expect((await ask("POST", "/api/sensors/6/correct/", { raw_value: 20 })).body).toMatchObject({
      corrected_value: 20,
      method: "identity",
      model_version: null,
      fallback_reason: "model_incompatible",
    });

    // It ends an hour, so that a prediction is kept.
    await plant.publish(sensor, { value: 20, timestamp: NOW });
    await expect
      .poll(async () => (await analytics()).fallbacks, { timeout: WAIT_MS })
      .toMatchObject({
        anomaly: { model_incompatible: 1 },
        drift: { model_incompatible: 1 },
        calibration: { model_incompatible: 1 },
      });
    for (const type of ["anomaly", "drift", "calibration"] as const) {
      const told = services
        .get(type)!
        .output()
        .split("\n")
        .find((line) => line.includes("model refused"));
      expect(JSON.parse(told!)).toMatchObject({
        reason: "model_incompatible",
        detail: `the ${type} artifact has format ${ARTIFACT_FORMAT_VERSION + 1}, and this code reads format ${ARTIFACT_FORMAT_VERSION}`,
      });
    }
    const due = await findDue(plant.database.pool, {
      formatVersion: ARTIFACT_FORMAT_VERSION,
    });
    expect(due.filter(({ sensorId }) => sensorId === 6).map(({ modelType, because }) => [modelType, because])).toEqual(
      ["anomaly", "calibration", "drift"].map((type) => [type, "the stored model has another format"]),
    );
    const { model } = await train(6, "anomaly");
    expect(model).toMatchObject({
      version: 2,
      current: true,
      params: { promotion: { reason: "version 1, which was in force, can no longer be read" } },
    });
  });

  it("that the data do not come to is not kept: it failed, with its reason, and what was in force stays", async () => {
    const sensor = await aSensor(7);
    await publish(
      sensor,
      Array.from({ length: 60 }, (_, n) => usual(n)),
      NOW - 200 * MINUTE_MS,
    );
    expect((await train(7, "drift")).model).toMatchObject({ version: 1, current: true });
    const failed = async () => (await analytics()).training.failed;
    const before = await failed();
    // Numbers that readings may have, and that have no mean.
    await publish(
      sensor,
      Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? 1.7e308 : -1.7e308)),
      NOW - 100 * MINUTE_MS,
    );
    const error = "the data do not come to a model: a drift model lacks its numbers";
    expect(await ask("POST", "/api/model-training/", { sensor_id: 7, model_type: "drift" })).toMatchObject({
      status: 500,
      body: { code: "training_failed", detail: error, sensor_id: 7, results: { drift: { status: "failed", error } } },
    });
    // One model's failure hides no other's result.
    expect(await ask("POST", "/api/model-training/", { sensor_id: 7 })).toMatchObject({
      status: 200,
      body: {
        results: {
          anomaly: { status: "trained" },
          drift: { status: "failed", error },
          calibration: { status: "insufficient_data", required: 5, available: 0 },
        },
      },
    });
    expect(versions(await models(7, "drift"))).toEqual(["1 in force"]);
    expect(await failed()).toBe(before + 2);
    const { body: runs } = await ask("GET", "/api/model-training/runs/?sensor_id=7&status=failed");
    expect(runs).toMatchObject({ count: 2, results: [{ model_type: "drift", error, model_id: null }, { error }] });
    expect((await ask("GET", "/api/sensors/7/drift-prediction/")).body).toMatchObject({
      predictions: [],
      fallback_reason: "prediction_error",
    });
  });

  it("is measured for all by what most of them reach, whatever one of them does", async () => {
    await plant.rows("update model_artifacts set current = false where model_type in ('drift', 'calibration')");
    for (const [type, name, figures] of [
      ["drift", "skill", [0.6, -6e6, 0.4]],
      ["calibration", "improvement", [-1.7e308, 0.7, -1.7e308, 0.8, 0.9]],
    ] as const)
      for (const [n, figure] of figures.entries())
        await plant.rows(
          `insert into model_artifacts (sensor_id, model_type, model_name, version, current, algorithm, params, features, samples, metrics, trigger, size_bytes, sha256, artifact, trained_at)
           values ($1, $2, 'one of many', 1, true, 'any', '{}', '[]', 20, jsonb_build_object($3::text, $4::float8, 'samples', 4), 'request', 1, '', '', now())`,
          [900 + n, type, name, figure],
        );
    expect(await analytics()).toMatchObject({
      drift_prediction_accuracy: { value: 0.4, samples: 12, reason: null },
      calibration_improvement: { value: 0.7, samples: 20, reason: null },
    });
  });
});
