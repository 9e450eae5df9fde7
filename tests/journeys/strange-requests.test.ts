/**
 *   a client ──what no client should send──▶ gateway ──▶ a problem with its code, and never an error of ours
 */
import { connect } from "node:net";
import { expect, it } from "vitest";
import { openPlant } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";
import { needsSpareTime } from "../support/time.ts";

const BEYOND_BIGINT = "99999999999999999999";
const BEYOND_INT = "99999999999";
const BAD_INPUT = {
  code: "invalid_input",
  errors: expect.arrayContaining([{ path: expect.any(String), message: expect.any(String) }]) as unknown,
};

const saysWhere = (errors: unknown): boolean =>
  Array.isArray(errors) &&
  errors.length > 0 &&
  errors.every(
    (one: { path?: unknown; message?: unknown }) => typeof one.path === "string" && typeof one.message === "string",
  );

it("an id that no row can have, a NUL, or half an escape is answered with its reason on every route", async () => {
  await using plant = await openPlant();
  const { ask, url } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 13, name: "Tank", type: "Pressure" });

  const wrong: string[] = [];
  const check = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await ask(method, path, body);
    const { code, errors } = answer.body;
    const told =
      [404, 409, 422].includes(answer.status) &&
      typeof code === "string" &&
      (code !== "invalid_input" || saysWhere(errors));
    if (!told || answer.headers.get("content-type")?.startsWith("application/problem+json") !== true)
      wrong.push(`${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  for (const id of [BEYOND_BIGINT, BEYOND_INT, "-1", "0", "1.5", "abc", "%00", "1e3"]) {
    for (const path of ["sensors", "anomalies", "model-training", "model-training/jobs"])
      await check("GET", `/api/${path}/${id}/`);
    for (const path of [`model-training/${id}/artifact`, `sensors/${id}/drift-prediction`])
      await check("GET", `/api/${path}`);
    for (const path of [`sensors/${id}/correct`, `model-training/${id}/promote`, `model-training/${id}/rollback`])
      await check("POST", `/api/${path}`, { raw_value: 1 });
    await check("PATCH", `/api/anomalies/${id}/`, { resolved: true });
    await check("PATCH", `/api/sensors/${id}/`, { name: "x" });
    await check("DELETE", `/api/sensors/${id}/`);
    await check("DELETE", `/api/tokens/${id}/`);
  }
  for (const id of [Number(BEYOND_BIGINT), Number(BEYOND_INT), -1, 0, 1.5, "13", null]) {
    await check("POST", "/api/calibrations/", { sensor_id: id, corrected_value: 1 });
    await check("POST", "/api/model-training/", { sensor_id: id, model_type: "anomaly" });
    await check("POST", "/api/anomalies/resolve/", { ids: [id] });
    await check("POST", "/api/enhanced-anomaly-detection/", { sensor_id: id, value: 1 });
    await check("POST", "/api/sensors/", { id, name: "x", type: "Flow", key: "13" });
  }
  for (const list of ["readings", "anomalies", "calibrations", "model-training"])
    for (const id of [BEYOND_BIGINT, BEYOND_INT, "%00", "x"]) {
      // A list of what belongs to a sensor that cannot be is empty, or the id is told to be wrong; it is no error of ours.
      const { status, body } = await ask("GET", `/api/${list}/?sensor_id=${id}`);
      if (!(status === 404 || status === 422 || (status === 200 && body.count === 0)))
        wrong.push(`GET /api/${list}/?sensor_id=${id}: ${status}`);
    }
  for (const path of ["sensors/?site=%00", "dead-letters/?key=%00", "sensors/?cursor=%00", "sensors/?cursor=bm8"])
    await check("GET", `/api/${path}`);
  await check("GET", `/api/sensors/?cursor=${Buffer.from(`[1,"x"]`).toString("base64url")}`);
  await check("GET", `/api/anomalies/?cursor=${Buffer.from(`[1,"x",1]`).toString("base64url")}`);
  await check("POST", "/api/sensors/", { name: "a\0b", type: "Flow" });
  await check("POST", "/api/sensors/", { name: "a", type: "Flow", unit: "\0" });
  await check("POST", "/api/sensors/", { name: "a", type: "Flow", site: "\0" });
  await check("POST", "/api/sensors/", { name: "a", type: "Flow", settings: { time_zone: "\0" } });
  await check("PATCH", "/api/anomalies/1/", { resolved: true, note: "\0" });
  await check("POST", "/api/calibrations/", {
    sensor_id: 13,
    corrected_value: 1,
    params: { slope: 1, intercept: 0, remark: "\0" },
  });
  await check("POST", "/api/dead-letters/replay/", { site: "\0" });
  await check("POST", "/api/dead-letters/replay/", { ids: [Number(BEYOND_BIGINT)] });
  await check("POST", "/api/tokens/", { name: "\0", role: "viewer" });
  await check("GET", "/api/readings/?sensor_id=13&from=275760-09-13T00:00:00Z");
  expect(wrong).toEqual([]);

  // What `fetch` would not send: an escape that is none.
  for (const path of ["/api/sensors/%zz/", "/%zz", "/api/sensors/%E0%A4%A/"])
    expect(await raw(url, path)).toMatch(
      /^HTTP\/1\.1 (404|422) [\s\S]*application\/problem\+json[\s\S]*"code":"(not_found|invalid_input)"/,
    );
});

it("a number that JSON can say and nothing can hold is refused wherever a number is asked for", async () => {
  await using plant = await openPlant({ services: ["ingest"] });
  const { ask } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 13, name: "Tank", type: "Pressure" });
  for (const [method, path, body] of [
    ["POST", "sensors/", '{"name": "a", "type": "Flow", "range_max": 1e400}'],
    ["PATCH", "sensors/13/", '{"baseline": -1e400}'],
    ["POST", "calibrations/", '{"sensor_id": 13, "corrected_value": 1e400}'],
    ["POST", "sensors/13/correct/", '{"raw_value": 1e400}'],
    ["POST", "enhanced-anomaly-detection/", '{"sensor_id": 13, "value": 1e400}'],
    ["POST", "enhanced-anomaly-detection/", '{"sensor_id": 13, "readings": [{"value": -1e400, "timestamp": 1e12}]}'],
  ] as const)
    expect([path, await ask(method, `/api/${path}`, body)]).toMatchObject([path, { status: 422, body: BAD_INPUT }]);
  // Of readings each is told by its index; one whose time is none is not kept as one that has no time.
  for (const reading of ['"raw_value": 1e400', '"raw_value": 1, "timestamp": 1e400'])
    expect(await ask("POST", "/api/readings/", `{"sensor_id": 13, ${reading}}`)).toMatchObject({
      status: 202,
      body: { accepted: 0, rejected: [{ index: 0, code: "invalid_reading" }] },
    });
  expect(await plant.rows("select 1 from calibrations")).toEqual([]);
});

it("what is no JSON says so and where, also where its bytes are no UTF-8", async () => {
  await using plant = await openPlant();
  const { ask, url, tokens } = await openGateway(plant);
  for (const body of ['{"name"', "NaN", '{"name": "a", "type": "Flow", "range_max": NaN}', "name=a&type=Flow"])
    expect(await ask("POST", "/api/sensors/", body)).toMatchObject({
      status: 400,
      body: { code: "invalid_json", errors: [{ path: "/", message: expect.any(String) }] },
    });
  const response = await fetch(`${url}/api/sensors/`, {
    method: "POST",
    headers: { authorization: `Bearer ${tokens["admin"]!}` },
    body: Buffer.concat([Buffer.from('{"type": "Flow", "name": "'), Buffer.from([0xff]), Buffer.from('"}')]),
  });
  expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, "invalid_json"]);
  expect(await plant.rows("select 1 from sensors")).toEqual([]);
});

it("HEAD is answered and over, also of what never ends by itself", async () => {
  await using plant = await openPlant();
  const { url, tokens } = await openGateway(plant);
  for (const [path, type] of [
    ["sensors", "application/json"],
    ["events", "text/event-stream"],
  ]) {
    const headers = { authorization: `Bearer ${tokens["viewer"]!}` };
    const response = await fetch(`${url}/api/${path}/`, { method: "HEAD", headers });
    expect([path, response.status, await response.text()]).toEqual([path, 200, ""]);
    expect(response.headers.get("content-type")).toContain(type);
  }
});

it("a list says how many there are, on every page, and its pages neither repeat nor hide what comes in meanwhile", async () => {
  await using plant = await openPlant();
  const { ask } = await openGateway(plant);
  for (let id = 1; id <= 5; id++) await ask("POST", "/api/sensors/", { id, name: `Sensor ${id}`, type: "Flow" });

  const first = await ask("GET", "/api/sensors/?limit=2");
  expect(first.body).toMatchObject({ count: 5, results: [{ id: 5 }, { id: 4 }] });
  await ask("POST", "/api/sensors/", { id: 6, name: "Sensor 6", type: "Flow" });
  const second = await ask("GET", `/api/sensors?limit=2&cursor=${first.body.next}`);
  expect(second.body).toMatchObject({ count: 5, results: [{ id: 3 }, { id: 2 }] });
  const third = await ask("GET", `/api/sensors?limit=2&cursor=${second.body.next}`);
  expect(third.body).toMatchObject({ count: 5, next: null, results: [{ id: 1 }] });
  expect((await ask("GET", "/api/sensors/?order=asc&limit=1")).body).toMatchObject({ count: 6, results: [{ id: 1 }] });
  expect((await ask("GET", "/api/tokens/?limit=1")).body).toMatchObject({ count: 4, results: [{ role: "admin" }] });
  expect((await ask("GET", "/api/audit-log/?limit=1")).body).toMatchObject({
    count: 6,
    results: [{ method: "POST", path: "/api/sensors/", status: 201 }],
  });
  expect((await ask("GET", "/api/sensors/?limit=1001")).body).toMatchObject({
    code: "invalid_input",
    errors: [{ path: "/limit" }],
  });
});

it("a request that never comes to its end is ended by us, and holds up nobody", async (context) => {
  needsSpareTime(context);
  await using plant = await openPlant();
  const { ask, url, tokens } = await openGateway(plant);
  const { hostname, port } = new URL(url);
  const begun = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.write(text));
      let answer = "";
      socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
      socket.on("error", reject);
      socket.on("close", () => resolve(answer));
    });
  const head = `POST /api/sensors/ HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${tokens["admin"]!}\r\n`;
  const ends = Promise.all([begun(head), begun(`${head}Content-Length: 100\r\n\r\n{"name"`)]);
  expect((await ask("GET", "/api/sensors/")).status).toBe(200);
  for (const answer of await ends) expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
  expect(await plant.rows("select 1 from sensors")).toEqual([]);
});

function raw(url: string, path: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`),
    );
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("error", reject);
    socket.on("end", () => resolve(text));
  });
}
