/**
 *   whoever has no token, a token too small, a token of another site, too many requests, or a body too large
 *      ──REST──▶ gateway ──▶ 401 · 403 · 404 · 429 · 413, and a line in the audit log for each write of somebody known
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway, type Answer, type Ask } from "../support/rest.ts";

const REVOKED_MS_MAX = 2_000;

it("a token fenced to one site meets nothing of another, by whichever id or key", async () => {
  await using plant = await openPlant({ services: ["ingest"] });
  const { ask, url } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 1, name: "Mine", type: "Flow", site: "a" });
  await ask("POST", "/api/sensors/", { id: 2, name: "Theirs", type: "Flow", site: "b", key: "theirs" });
  const b = await fillSite(plant, 2, "b", "theirs");
  const { body: of } = await ask("POST", "/api/tokens/", { name: "a", role: "admin", sites: ["a"] });
  const { body: theirs } = await ask("POST", "/api/tokens/", { name: "b", role: "viewer", sites: ["b"] });
  const asA = asking(url, of.token);

  const before = await snapshot(plant);
  const unseen: [string, string, unknown?][] = [
    ["GET", "/api/sensors/2/"],
    ["PATCH", "/api/sensors/2/", { name: "Taken" }],
    ["DELETE", "/api/sensors/2/?force=true"],
    ["GET", "/api/readings/?sensor_id=2"],
    ["GET", "/api/readings/?sensor_id=2&resolution=auto"],
    ["POST", "/api/calibrations/", { sensor_id: 2, corrected_value: 1 }],
    ["GET", `/api/anomalies/${b.anomaly}/`],
    ["PATCH", `/api/anomalies/${b.anomaly}/`, { resolved: true }],
    ["POST", "/api/anomalies/resolve/", { ids: [b.anomaly] }],
    ["POST", "/api/model-training/", { sensor_id: 2 }],
    ["GET", `/api/model-training/${b.model}/`],
    ["GET", `/api/model-training/${b.model}/artifact`],
    ["POST", `/api/model-training/${b.model}/promote`],
    ["GET", `/api/model-training/jobs/${b.job}/`],
    ["POST", "/api/enhanced-anomaly-detection/", { sensor_id: 2, value: 1 }],
    ["GET", "/api/sensors/2/drift-prediction/"],
    ["POST", "/api/sensors/2/correct/", { raw_value: 1 }],
    ["GET", "/api/events/?sensor_id=2"],
    ["GET", "/api/sites/b/false-alarm-budget/"],
    ["PUT", "/api/sites/b/false-alarm-budget/", { false_alarms_per_month: 1 }],
    ["DELETE", `/api/tokens/${theirs.id}/`],
  ];
  for (const [method, path, body] of unseen)
    expect([method, path, (await asA(method, path, body)).status]).toEqual([method, path, 404]);

  const empty = [
    "/api/sensors/?site=b",
    "/api/attention/?site=b",
    "/api/calibrations/?sensor_id=2",
    "/api/anomalies/?sensor_id=2",
    "/api/model-training/?sensor_id=2",
    "/api/dead-letters/",
    "/api/dead-letters/?site=b&key=theirs",
    "/api/dead-letters/?group=sensor",
  ];
  for (const path of empty) expect([path, (await asA("GET", path)).body.count]).toEqual([path, 0]);
  expect((await asA("GET", "/api/sites/")).body).toMatchObject({ count: 1, results: [{ site: "a" }] });
  expect((await asA("POST", "/api/dead-letters/replay/", { site: "b" })).body).toEqual({ replayed: 0 });
  expect((await asA("POST", "/api/dead-letters/replay/", { ids: [b.deadLetter] })).body).toEqual({ replayed: 0 });
  expect(
    (await asA("POST", "/api/readings/", { sensor_id: 2, raw_value: 1, timestamp: "2026-01-05T00:00:00Z" })).body,
  ).toMatchObject({ accepted: 0, rejected: [{ code: "unknown_sensor" }] });
  expect((await asA("GET", "/api/ml-analytics/")).body).toMatchObject({
    sensors: { total: 1 },
    readings: { total: 0, last_24h: 0 },
    anomalies: { total: 0, by_day: {} },
    models: { total: 0 },
    training: { runs: 0 },
    anomaly_detection_rate: { value: null },
  });

  // What it may make sees no more than itself, and sees itself.
  expect((await asA("POST", "/api/tokens/", { name: "x", role: "viewer", sites: ["a", "b"] })).status).toBe(403);
  expect((await asA("POST", "/api/sensors/", { name: "x", type: "Flow", site: "b" })).status).toBe(403);
  expect((await asA("POST", "/api/tokens/", { name: "x", role: "viewer" })).body.sites).toEqual(["a"]);
  expect((await asA("GET", "/api/tokens/")).body.results.map((one: { name: string }) => one.name)).toEqual(["x", "a"]);
  const seen = (await asA("GET", "/api/audit-log/?limit=1000")).body.results as { token_name: string }[];
  expect(new Set(seen.map(({ token_name: name }) => name))).toEqual(new Set(["a"]));

  // "all" is all of its own: one sensor's three models.
  const all = await asA("POST", "/api/model-training/", { sensor_id: "all" });
  expect((await asA("GET", `/api/model-training/jobs/${all.body.job_id}/`)).body).toMatchObject({ total: 3 });
  expect(await snapshot(plant)).toEqual(before);
});

it("a token is shown once, used, audited and revoked; on every replica it is refused within two seconds", async () => {
  await using plant = await openPlant();
  const [one, two] = [await openGateway(plant), await openGateway(plant)];
  const { ask } = one;
  const made = await cli(one.url, one.tokens["admin"]!, [
    "create",
    "--role",
    "viewer",
    "--name",
    "wall",
    "--expires",
    "30d",
  ]);
  const token = made.stdout.trim();
  expect(Buffer.from(token, "base64url")).toHaveLength(32);
  const { body: list } = await ask("GET", "/api/tokens/?limit=1000");
  const [kept] = list.results as { id: number; name: string; last_used_at: string | null }[];
  expect(kept).toMatchObject({ name: "wall", role: "viewer", sites: null, last_used_at: null, revoked_at: null });
  expect(JSON.stringify(list)).not.toContain(token);
  expect(JSON.stringify(await plant.rows("select * from tokens"))).not.toContain(token);
  expect((await cli(one.url, one.tokens["admin"]!, ["list"])).stdout).toContain(
    `${kept!.id}: viewer · "wall" · all sites`,
  );

  const cookies = await Promise.all([one, two].map(({ url }) => signIn(url, token)));
  const doors = [one, two].flatMap(({ url }, n) => [
    () => fetch(`${url}/api/sensors/`, { headers: { authorization: `Bearer ${token}` } }),
    () => fetch(`${url}/api/sensors/`, { headers: { cookie: cookies[n]! } }),
  ]);
  for (const door of doors) expect((await door()).status).toBe(200);
  const events = await fetch(`${two.url}/api/events/`, { headers: { authorization: `Bearer ${token}` } });
  const ended = (async () => {
    for await (const _ of events.body!);
  })().catch(() => undefined);
  expect((await ask("GET", "/api/tokens/?limit=1")).body.results[0].last_used_at).not.toBeNull();

  // Found good at the very last moment, in the worst case.
  for (const door of doors) await door();
  const revoked = await cli(one.url, one.tokens["admin"]!, ["revoke", String(kept!.id)]);
  expect(revoked.status).toBe(0);
  const at = (
    await plant.rows<{ age: number }>(
      "select extract(epoch from clock_timestamp() - revoked_at)::float8 * 1000 as age from tokens where name = 'wall'",
    )
  )[0]!;
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, REVOKED_MS_MAX - at.age)));
  for (const door of doors) expect((await door()).status).toBe(401);
  await ended;

  expect((await cli(one.url, one.tokens["admin"]!, ["create", "--role", "king"])).status).toBe(1);
  expect((await cli(one.url, one.tokens["admin"]!, ["create"])).status).toBe(2);
  expect(
    (await ask("POST", "/api/tokens/", { name: "x", role: "viewer", expires_at: "2020-01-01T00:00:00Z" })).status,
  ).toBe(422);
  await ask("POST", "/api/readings/", [{ sensor_id: 1, raw_value: 1 }], "plant");
  await ask("DELETE", "/api/sensors/77/", undefined, "viewer");
  const { body: audit } = await ask("GET", "/api/audit-log/?limit=1000&order=asc");
  const lines = (
    audit.results as { token_name: string; method: string; path: string; status: number; detail: unknown }[]
  ).map(({ token_name, method, path, status }) => `${token_name}: ${method} ${path} ${status}`);
  for (const line of [
    "admin of this installation: POST /api/tokens/ 201",
    "wall: POST /api/session/ 200",
    `admin of this installation: DELETE /api/tokens/${kept!.id}/ 204`,
    "plant of this installation: POST /api/readings/ 202",
    "viewer of this installation: DELETE /api/sensors/77/ 403",
  ])
    expect(lines).toContain(line);
  expect(audit.results.find(({ path }: { path: string }) => path === "/api/readings/").detail).toEqual({ readings: 1 });
  expect((await ask("GET", "/api/audit-log/", undefined, "operator")).status).toBe(403);

  const secrets = [
    token,
    ...cookies.map((cookie) => cookie.split("=")[1]!),
    ...Object.values(one.tokens),
    ...Object.values(plant.nats.users),
    new URL(plant.databaseUrl).password,
  ];
  const told = one.service.output() + two.service.output() + JSON.stringify(audit);
  for (const secret of secrets) expect(told).not.toContain(secret);
});

it("too much is refused by name, and no answer tells of our insides", async () => {
  await using plant = await openPlant();
  const { ask, url, tokens } = await openGateway(plant, { REQUESTS_PER_MINUTE: "40" });
  const large = await ask("POST", "/api/sensors/", { name: "x".repeat(2_000_000), type: "Flow" });
  expect(large).toMatchObject({ status: 413, body: { code: "too_large" } });
  const wrong: Answer[] = [
    await ask("GET", "/api/sensors/99999999999999/"),
    await ask("GET", "/api/readings/?sensor_id=99999999999"),
    await ask("POST", "/api/sensors/", { name: "a\0b", type: "Flow" }),
    await ask("GET", `/api/sensors/?cursor=${Buffer.from('["1; drop table sensors"]').toString("base64url")}`),
    await ask("GET", "/api/sensors/?site=%00"),
    await ask("GET", "/api/anomalies/9007199254740991/"),
    await ask("GET", "/api/model-training/jobs/x/"),
  ];
  for (const { status, body } of wrong) {
    expect(status).toBeGreaterThanOrEqual(404);
    expect(status).toBeLessThan(500);
    expect(JSON.stringify(body)).not.toMatch(/select |insert |\.ts:|node_modules|at .*\(|invalid byte|pg_/);
  }
  const cross = await fetch(`${url}/api/sensors/`, {
    headers: { authorization: `Bearer ${tokens["viewer"]!}`, origin: "http://elsewhere.example" },
  });
  expect(cross.headers.get("access-control-allow-origin")).toBeNull();
  expect(cross.headers.get("x-content-type-options")).toBe("nosniff");
  expect(cross.headers.get("content-security-policy")).toContain("default-src 'self'");
  expect(cross.headers.get("x-powered-by")).toBeNull();

  const until429 = async (as: Parameters<Ask>[3]): Promise<Answer> => {
    for (let n = 0; n < 200; n++) {
      const answer = await ask("GET", "/api/session/", undefined, as);
      if (answer.status === 429) return answer;
    }
    throw new Error("nothing was refused in 200 requests");
  };
  const limited = await until429(null);
  expect(limited.body).toMatchObject({ code: "rate_limited", limit: "requests_per_address" });
  for (let n = 0; n < 60; n++) await ask("GET", "/api/sensors/", undefined, "operator");
  const ofToken = await ask("GET", "/api/sensors/", undefined, "operator");
  expect(ofToken).toMatchObject({ status: 429, body: { code: "rate_limited", limit: "requests_per_token" } });
  expect(Number(ofToken.headers.get("retry-after"))).toBeGreaterThan(0);
  // Another token is another matter.
  expect((await ask("GET", "/api/sensors/", undefined, "viewer")).status).toBe(200);
  const guess = async () =>
    (await fetch(`${url}/api/sensors/`, { headers: { authorization: `Bearer ${Math.random()}` } })).status;
  const guesses = new Set<number>();
  for (let n = 0; n < 80; n++) guesses.add(await guess());
  expect(guesses).toEqual(new Set([401, 429]));
});

function asking(url: string, token: string): (method: string, path: string, body?: unknown) => Promise<Answer> {
  return async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(WAIT_MS),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true && text !== "";
    return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
  };
}

async function signIn(url: string, token: string): Promise<string> {
  const response = await fetch(`${url}/api/session/`, { method: "POST", body: JSON.stringify({ token }) });
  expect(response.status).toBe(200);
  return response.headers.get("set-cookie")!.split(";")[0]!;
}

/** `npm run tokens`, as it runs. */
async function cli(url: string, token: string, args: string[]) {
  return spawnSync(process.execPath, ["scripts/cli/tokens.ts", ...args], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { PATH: process.env["PATH"] ?? "", GATEWAY_URL: url, API_TOKEN: token },
    encoding: "utf8",
  });
}

/** A row of site b in everything that REST shows. */
async function fillSite(plant: Plant, id: number, site: string, key: string) {
  await plant.publish({ site, key }, [
    { value: 1, timestamp: Date.UTC(2026, 0, 5) },
    { value: "none", timestamp: Date.UTC(2026, 0, 5, 1) },
  ]);
  await expect.poll(async () => (await plant.rows("select id from dead_letters")).length, { timeout: WAIT_MS }).toBe(1);
  await plant.rows(
    "insert into calibrations (sensor_id, method, corrected_value, applied_at, valid_from) values ($1, 'linear', 1, now(), now())",
    [id],
  );
  const one = async (text: string, values: unknown[]) => (await plant.rows<{ id: number }>(text, values))[0]!.id;
  const anomaly = await one(
    `insert into anomalies (sensor_id, type, value, severity, resolved, timestamp, last_seen, count, method, alarm, explanation)
     values ($1, 'Spike', 1, 'High', false, now(), now(), 1, 'rule', true, '{}') returning id`,
    [id],
  );
  const model = await one(
    `insert into model_artifacts (sensor_id, model_type, model_name, version, current, algorithm, params, features, samples, metrics, trigger, size_bytes, sha256, artifact, trained_at)
     values ($1, 'drift', 'drift_model', 1, true, 'linear regression', '{}', '{}', 1, '{"skill": 0.5}', 'cli', 1, 'x', '\\x00', now()) returning id`,
    [id],
  );
  const job = crypto.randomUUID();
  await plant.rows("insert into training_jobs (id, trigger, total, sites) values ($1, 'request', 1, $2)", [
    job,
    [site],
  ]);
  await plant.rows(
    "insert into training_runs (job_id, sensor_id, model_type, trigger, status, started_at, finished_at) values ($1, $2, 'drift', 'cli', 'failed', now(), now())",
    [job, id],
  );
  return { anomaly, model, job, deadLetter: await one("select id from dead_letters", []) };
}

/** Everything of the sensor of site b; nothing that an attempt of somebody else may change. */
const snapshot = async (plant: Plant) => ({
  sensors: await plant.rows("select * from sensors where site = 'b'"),
  versions: await plant.rows("select * from sensor_versions where site = 'b'"),
  readings: await plant.rows("select * from readings where sensor_id = 2"),
  calibrations: await plant.rows("select * from calibrations where sensor_id = 2"),
  anomalies: await plant.rows("select * from anomalies where sensor_id = 2"),
  models: await plant.rows("select * from model_artifacts where sensor_id = 2"),
  jobs: await plant.rows("select * from training_runs where sensor_id = 2"),
  deadLetters: await plant.rows("select * from dead_letters where site = 'b'"),
  tokens: await plant.rows("select name, revoked_at from tokens where sites = '{b}'"),
});
