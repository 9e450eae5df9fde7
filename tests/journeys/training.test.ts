/**
 *   somebody asks ──training.<type>.<id>──▶ TRAINING ──▶ trainer ──▶ model_artifacts, model_promotions, training_runs
 *                                                           └──▶ events.model.<type>.<id> ──▶ the services judge by it
 */
import { decodeArtifact } from "@calibration/models/artifact.ts";
import { decodeIsolationForest } from "@calibration/models/isolation-forest.ts";
import type { ModelType } from "@calibration/shared/model.ts";
import { requestTraining } from "@calibration/shared/training.ts";
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";

const MINUTE_MS = 60_000;
const aSeries = (count: number, now: number) =>
  Array.from({ length: count }, (_, n) => ({
    value: 20 + Math.sin(n / 30) + 0.3 * Math.sin(n * 1.7),
    timestamp: now - (count - n) * MINUTE_MS,
  }));

async function train(plant: Plant, sensorId: number, types: readonly ModelType[]): Promise<void> {
  const job_id = randomUUID();
  await requestTraining(
    plant.bus,
    types.map((model_type) => ({ job_id, sensor_id: sensorId, model_type, trigger: "request", due_because: null })),
  );
  await expect
    .poll(async () => (await plant.rows("select 1 from training_runs where job_id = $1", [job_id])).length, {
      timeout: WAIT_MS,
    })
    .toBe(types.length);
}

it("a model is trained on request, and from then on it judges, in every service that uses it", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly", "trainer"] });
  const sensor = await plant.aSensor({ id: 7 });
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  await plant.publish(sensor, aSeries(300, now));
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings"), { timeout: WAIT_MS })
    .toEqual([{ n: 300 }]);

  await train(plant, 7, ["anomaly", "drift", "calibration"]);
  expect(
    await plant.rows("select model_type, status, error, required, available from training_runs order by model_type"),
  ).toEqual([
    { model_type: "anomaly", status: "trained", error: null, required: null, available: null },
    {
      model_type: "calibration",
      status: "insufficient_data",
      error: "Not enough data: 5 calibrations needed, 0 available",
      required: 5,
      available: 0,
    },
    { model_type: "drift", status: "trained", error: null, required: null, available: null },
  ]);
  const [model] = await plant.rows<{
    artifact: Buffer;
    model_name: string;
    version: number;
    samples: number;
    metrics: { recall: number };
  }>(
    "select artifact, model_name, version, samples, metrics from model_artifacts where model_type = 'anomaly' and current",
  );
  expect(model).toMatchObject({ model_name: "anomaly_model_Sensor_7_7", version: 1, samples: 300 });
  expect(model!.metrics.recall).toBeGreaterThan(0.5);
  expect(decodeIsolationForest(decodeArtifact("anomaly", model!.artifact)).settings.seed).toBe(42);

  await plant.publish(sensor, { value: 60, timestamp: now });
  await expect
    .poll(
      () =>
        plant.rows(
          "select value, explanation->'model' as model, explanation->'fallback_reason' as fallback from anomalies where value = 60",
        ),
      { timeout: WAIT_MS },
    )
    .toEqual([
      {
        value: 60,
        model: expect.objectContaining({ method: "isolation_forest", version: 1 }) as object,
        fallback: null,
      },
    ]);
  await expect
    .poll(() => plant.lastSaid("EVENTS", "events.model.anomaly.7"), { timeout: WAIT_MS })
    .toMatchObject({
      event: "promoted",
      sensor_id: 7,
      version: 1,
      current: true,
      model_type: "anomaly",
    });
});

it("the same readings make the same bytes, and a new version each time", async () => {
  await using plant = await openPlant({ services: ["ingest", "trainer"] });
  const sensor = await plant.aSensor({ id: 7 });
  await plant.publish(sensor, aSeries(200, Date.UTC(2026, 0, 5)));
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings"), { timeout: WAIT_MS })
    .toEqual([{ n: 200 }]);
  await train(plant, 7, ["anomaly", "drift"]);
  await train(plant, 7, ["anomaly", "drift"]);
  const models = await plant.rows<{ model_type: string; version: number; current: boolean; sha256: string }>(
    "select model_type, version, current, sha256 from model_artifacts order by model_type, version",
  );
  expect(models.map(({ model_type: type, version, current }) => `${type} ${version} ${current}`)).toEqual([
    "anomaly 1 false",
    "anomaly 2 true",
    "drift 1 false",
    "drift 2 true",
  ]);
  expect(models[0]!.sha256).toBe(models[1]!.sha256);
  expect(models[2]!.sha256).toBe(models[3]!.sha256);
});

it("a request that no trainer can finish is given up, and its job has an end", async () => {
  await using plant = await openPlant({ services: ["ingest", "trainer"] });
  const sensor = await plant.aSensor({ id: 7 });
  await plant.publish(sensor, aSeries(50, Date.UTC(2026, 0, 5)));
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings"), { timeout: WAIT_MS })
    .toEqual([{ n: 50 }]);
  await plant.rows("alter table model_artifacts add constraint no_drift check (model_type <> 'drift')");
  await train(plant, 7, ["anomaly", "drift"]);
  expect(await plant.rows("select model_type, status, error from training_runs order by model_type")).toEqual([
    { model_type: "anomaly", status: "trained", error: null },
    { model_type: "drift", status: "failed", error: "Training was begun 4 times and never finished" },
  ]);
});

it("too little data is an answer with what is needed and what is there, and one model's lack hides no other's result", async () => {
  await using plant = await openPlant({ services: ["ingest", "trainer"] });
  const sensor = await plant.aSensor({ id: 7 });
  await plant.publish(sensor, [
    ...aSeries(12, Date.UTC(2026, 0, 5)),
    { value: 1, timestamp: Date.UTC(2026, 0, 6), quality: "uncertain" },
  ]);
  await expect
    .poll(() => plant.rows("select count(*)::int n from readings"), { timeout: WAIT_MS })
    .toEqual([{ n: 13 }]);
  await train(plant, 7, ["anomaly", "drift"]);
  expect(await plant.rows("select model_type, status, error from training_runs order by model_type")).toEqual([
    { model_type: "anomaly", status: "trained", error: null },
    { model_type: "drift", status: "insufficient_data", error: "Not enough data: 20 readings needed, 12 available" },
  ]);
});
