/**
 *   GET /api/openapi.json ──▶ every route with what it takes and answers, and each answer is as it was described
 */
import { Ajv } from "ajv";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";

const MINUTE_MS = 60_000;
/** What the contract names, beside sign-in and health. */
const PROMISED = [
  "GET /api/sensors/",
  "POST /api/sensors/",
  "GET /api/sensors/{id}/",
  "PATCH /api/sensors/{id}/",
  "DELETE /api/sensors/{id}/",
  "GET /api/readings/",
  "POST /api/readings/",
  "GET /api/calibrations/",
  "POST /api/calibrations/",
  "GET /api/anomalies/",
  "GET /api/anomalies/{id}/",
  "PATCH /api/anomalies/{id}/",
  "POST /api/model-training/",
  "GET /api/model-training/jobs/{job}/",
  "GET /api/model-training/",
  "GET /api/model-training/{id}/",
  "GET /api/model-training/{id}/artifact",
  "GET /api/ml-analytics/",
  "POST /api/enhanced-anomaly-detection/",
  "GET /api/sensors/{id}/drift-prediction/",
  "POST /api/sensors/{id}/correct/",
  "GET /api/dead-letters/",
  "POST /api/dead-letters/replay/",
  "GET /api/events/",
  "POST /api/session/",
  "DELETE /api/session/",
];

it("every route says what it answers, good and bad, and answers that", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly", "trainer"], partitions: 2 });
  const { ask } = await openGateway(plant);
  const { body: api } = await ask("GET", "/api/openapi.json", undefined, null);
  expect(api).toMatchObject({ openapi: "3.1.0" });
  const operations = Object.entries<Record<string, { responses: Record<string, any>; requestBody?: object }>>(
    api.paths,
  ).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path.replace(/(?<=.)\/$/, "")}`,
      ...operation,
    })),
  );
  const names = operations.map(({ name }) => name);
  expect(PROMISED.filter((name) => !names.includes(name.replace(/\/$/, "")))).toEqual([]);
  const undescribed = operations
    .filter(({ responses }) => {
      const good = Object.entries(responses).filter(([status]) => status.startsWith("2"));
      const shown = good.every(([status, { content }]) => status === "204" || content !== undefined);
      return good.length === 0 || !shown || responses["default"]?.content["application/problem+json"] === undefined;
    })
    .map(({ name }) => name);
  expect(undescribed).toEqual([]);
  expect(operations.find(({ name }) => name === "POST /api/readings")?.requestBody).toBeDefined();

  const ajv = new Ajv({ strict: false, validateFormats: false });
  const wrong: string[] = [];
  /** Asks, and holds the answer against its description. */
  const call = async (method: string, path: string, body?: unknown): Promise<any> => {
    const answer = await ask(method, path, body);
    const plain = path.split("?")[0]!.replace(/\/$/, "");
    const operation = operations.find(({ name }) =>
      new RegExp(`^${name.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(`${method} ${plain}`),
    );
    const described = operation?.responses[answer.status] ?? operation?.responses["default"];
    const schema = Object.values<{ schema: object }>(described?.content ?? {})[0]?.schema;
    if (answer.status !== 204 && (schema === undefined || !ajv.validate(schema, answer.body)))
      wrong.push(`${method} ${path}: ${answer.status} ${ajv.errorsText()} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };

  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  await call("POST", "/api/sensors/", { id: 7, name: "Tank", type: "Pressure", range_max: 100 });
  await call("POST", "/api/sensors/", { id: 7, name: "Again", type: "Pressure" });
  await call("POST", "/api/sensors/", { name: "x" });
  await call("PATCH", "/api/sensors/7/", { unit: "kPa" });
  const readings = Array.from({ length: 60 }, (_, n) => ({
    sensor_id: 7,
    raw_value: n === 58 ? 140 : 20 + Math.sin(n),
    timestamp: now - (60 - n) * MINUTE_MS,
  }));
  await call("POST", "/api/readings/", [...readings, { sensor_id: 8, raw_value: 1, timestamp: now }]);
  await plant.publish({ site: "main", key: "nobody" }, { value: 1 });
  await expect
    .poll(async () => (await ask("GET", "/api/anomalies/?alarm=true")).body.count, { timeout: WAIT_MS })
    .toBe(1);
  await expect.poll(async () => (await ask("GET", "/api/dead-letters/")).body.count, { timeout: WAIT_MS }).toBe(1);
  await call("POST", "/api/calibrations/", { sensor_id: 7, corrected_value: 21 });
  const { results } = await call("POST", "/api/model-training/", { sensor_id: 7 });
  await call("POST", "/api/model-training/", { sensor_id: 7, model_type: "calibration" });
  const job = await call("POST", "/api/model-training/?async=true", { sensor_id: 7, model_type: "anomaly" });
  const token = await call("POST", "/api/tokens/", { name: "guest", role: "viewer" });
  const anomalies = await call("GET", "/api/anomalies/");
  for (const path of [
    "/healthz",
    "/readyz",
    "/api/sensors/",
    "/api/sensors/?fields=id,learning.stage,false_alarms",
    "/api/attention/",
    "/api/sites/",
    "/api/sensors/7/",
    "/api/sensors/9/",
    "/api/readings/?sensor_id=7&limit=5",
    "/api/readings/?sensor_id=7&resolution=auto",
    "/api/calibrations/",
    `/api/anomalies/${anomalies.results[0].id}/`,
    `/api/model-training/jobs/${job.job_id}/`,
    "/api/model-training/",
    "/api/model-training/runs/",
    "/api/model-training/promotions/",
    `/api/model-training/${results.anomaly.model.id}/`,
    "/api/ml-analytics/",
    "/api/system/",
    "/api/sensors/7/drift-prediction/",
    "/api/dead-letters/",
    "/api/dead-letters/?group=sensor",
    "/api/tokens/",
    "/api/audit-log/",
    "/api/sparklines/?sensor_ids=7",
  ])
    await call("GET", path);
  await call("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 7 });
  await call("POST", "/api/sensors/7/correct/", { raw_value: 1 });
  await call("POST", "/api/dead-letters/replay/", { reason: "unknown_sensor" });
  await call("POST", "/api/session/codes/");
  await call("POST", "/api/session/", { token: token.token });
  await call("POST", "/api/session/", { token: "wrong" });
  await call("DELETE", `/api/tokens/${token.id}/`);
  await call("POST", `/api/model-training/${results.anomaly.model.id}/promote`);
  await call("POST", "/api/sensors/", "{nonsense");
  expect(wrong).toEqual([]);
});
