/**
 *   a client ──REST──▶ gateway ──▶ PostgreSQL
 *                         └──readings.… training.… resolutions.…──▶ NATS ──▶ the services ──▶ PostgreSQL ──▶ the answer
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";

const MINUTE_MS = 60_000;

it("a sensor is made, changed, listed and deleted, and what contradicts is refused with its reason", async () => {
  await using plant = await openPlant();
  const { ask } = await openGateway(plant);

  const made = await ask("POST", "/api/sensors/", { id: 13, name: "Cooling Tank Pressure", type: "Pressure" });
  expect(made).toMatchObject({
    status: 201,
    body: {
      id: 13,
      key: "13",
      site: "main",
      type: "Pressure",
      unit: "bar",
      value: null,
      last_updated: null,
      drift: null,
      status: "offline",
      settings: { trees: 100, contamination: 0.1, time_zone: "UTC" },
    },
  });
  expect(made.body.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(await ask("POST", "/api/sensors", { id: 13, name: "Again", type: "Pressure" })).toMatchObject({
    status: 409,
    body: { code: "conflict" },
  });
  expect(await ask("POST", "/api/sensors/", { name: "x", type: "Colour" })).toMatchObject({
    status: 422,
    body: { code: "invalid_input", errors: [{ path: "/type" }] },
  });
  expect(await ask("POST", "/api/sensors/", { name: "x", type: "Flow", key: "99" })).toMatchObject({
    status: 422,
    body: { errors: [{ path: "/key" }] },
  });
  const other = await ask("POST", "/api/sensors/", { name: "Inlet", type: "Flow", key: "inlet-1", site: "north" });
  expect(other).toMatchObject({ status: 201, body: { key: "inlet-1", site: "north" } });

  const changed = await ask("PATCH", "/api/sensors/13/", {
    name: "Tank",
    range_min: 0,
    range_max: 10,
    settings: { time_zone: "Europe/Berlin" },
  });
  expect(changed).toMatchObject({
    status: 200,
    body: { name: "Tank", range_max: 10, settings: { time_zone: "Europe/Berlin", trees: 100 } },
  });
  expect(await ask("PATCH", "/api/sensors/13/", { key: "14" })).toMatchObject({ status: 409 });
  // Of changes at the same moment none undoes another.
  const apart = { tolerance: 0.5, drift_levels: [2, 6], rate_per_minute_max: 90, trees: 50, contamination: 0.2 };
  await Promise.all(
    Object.entries(apart).map(([name, value]) => ask("PATCH", "/api/sensors/13/", { settings: { [name]: value } })),
  );
  expect(await ask("GET", "/api/sensors/13/")).toMatchObject({ body: { settings: apart } });
  await ask("PATCH", "/api/sensors/13/", { settings: { trees: 100 } });

  const budget = await ask("PUT", "/api/sites/main/false-alarm-budget/", { false_alarms_per_month: 2.73 });
  expect(budget).toMatchObject({ status: 200, body: { site: "main", sensors: 1 } });
  expect(await ask("GET", "/api/sensors/13/")).toMatchObject({
    body: {
      settings: { false_alarms_per_month: 2.73, time_zone: "Europe/Berlin" },
      learning: null,
      false_alarms: { budget_per_month: 2.73, threshold: 5.5, observed_per_month: null, alarms: 0 },
    },
  });
  // A site of many sensors gets it in slices, each of which counts soon after it was written.
  const { pool } = plant.database;
  await pool.query(
    `insert into sensors (id, key, site, name, type, unit, settings)
     select n, n::text, 'wide', 'Field ' || n, 'Flow', 'l/min', '{}' from generate_series(50001, 50450) n`,
  );
  expect(await ask("PUT", "/api/sites/wide/false-alarm-budget/", { false_alarms_per_month: 0.7 })).toMatchObject({
    status: 200,
    body: { site: "wide", sensors: 450 },
  });
  const { rows: took } = await pool.query(
    `select count(*)::int as sensors, count(distinct v.xmin::text)::int as transactions,
            bool_and((v.body->'settings'->>'false_alarms_per_month')::float8 = 0.7) as all_of_them
       from sensors s join sensor_versions v on v.sensor_id = s.id
      where s.site = 'wide' and (s.settings->>'false_alarms_per_month')::float8 = 0.7`,
  );
  expect(took).toEqual([{ sensors: 450, transactions: 3, all_of_them: true }]);
  for (const table of ["sensors", "sensor_versions", "site_budgets"])
    await pool.query(`delete from ${table} where site = 'wide'`);
  const nowhere = "/api/sites/nowhere/false-alarm-budget/";
  expect(await ask("PUT", nowhere, { false_alarms_per_month: 1 })).toMatchObject({ status: 404 });
  expect(await ask("GET", nowhere)).toMatchObject({ status: 404 });
  // A site's budget is that of the sensors to come, but for those that bring one of their own.
  expect((await ask("GET", "/api/sites/main/false-alarm-budget/", undefined, "viewer")).body).toEqual(budget.body);
  expect((await ask("GET", "/api/sites/north/false-alarm-budget/")).body).toMatchObject({ false_alarms_per_month: 1 });
  for (const [id, settings, expected] of [
    [21, {}, 2.73],
    [22, { false_alarms_per_month: 0.5 }, 0.5],
  ] as const) {
    const { body } = await ask("POST", "/api/sensors/", { id, name: "Later", type: "Flow", settings });
    expect(body.settings.false_alarms_per_month).toBe(expected);
    const { body: sites } = await ask("GET", "/api/sites/?order=asc", undefined, "viewer");
    expect(sites).toMatchObject({ count: 2, next: null });
    expect(sites.results[0]).toEqual({
      site: "main",
      sensors: 2,
      false_alarms_per_month: 2.73,
      own_budgets: expected === 2.73 ? 0 : 1,
    });
    await ask("DELETE", `/api/sensors/${id}/`);
  }
  expect(await ask("PATCH", "/api/sensors/13/", { settings: { time_zone: "Mars/Olympus" } })).toMatchObject({
    status: 422,
  });
  expect(await ask("PATCH", "/api/sensors/13/", { range_min: 20 })).toMatchObject({ status: 422 });

  const first = await ask("GET", "/api/sensors/?limit=1");
  expect(first.body).toMatchObject({ count: 2, results: [{ id: other.body.id }] });
  expect((await ask("GET", `/api/sensors/?limit=1&cursor=${first.body.next}`)).body).toMatchObject({
    count: 2,
    next: null,
    results: [{ id: 13 }],
  });
  expect(await ask("GET", "/api/sensors/?cursor=nonsense")).toMatchObject({ status: 422 });
  expect(await ask("GET", "/api/sensors/77/")).toMatchObject({ status: 404, body: { code: "not_found" } });
  expect(await ask("DELETE", "/api/sensors/13/")).toMatchObject({ status: 204 });
  expect(await ask("GET", "/api/sensors/13/")).toMatchObject({ status: 404 });
});

it("tokens and roles decide who may do what", async () => {
  await using plant = await openPlant();
  const { ask, url, tokens } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 1, name: "One", type: "Flow", site: "north" });

  expect(await ask("GET", "/api/sensors/", undefined, null)).toMatchObject({
    status: 401,
    body: { code: "unauthorized" },
  });
  // However often: only wrong tokens are guesses.
  const asked = Array.from({ length: 80 }, async () => (await ask("GET", "/api/sensors/", undefined, null)).status);
  expect(new Set(await Promise.all(asked))).toEqual(new Set([401]));
  expect(await ask("GET", "/api/sensors/", undefined, "plant")).toMatchObject({
    status: 403,
    body: { code: "forbidden" },
  });
  expect(await ask("POST", "/api/sensors/", { name: "x", type: "Flow" }, "operator")).toMatchObject({ status: 403 });
  expect(await ask("POST", "/api/calibrations/", { sensor_id: 1, corrected_value: 1 }, "viewer")).toMatchObject({
    status: 403,
  });
  expect(await ask("GET", "/healthz", undefined, null)).toMatchObject({ status: 200 });
  expect(await ask("GET", "/readyz", undefined, null)).toMatchObject({ status: 200 });

  const fenced = await ask("POST", "/api/tokens/", { name: "south", role: "viewer", sites: ["south"] });
  const asSouth = await fetch(`${url}/api/sensors/1/`, { headers: { authorization: `Bearer ${fenced.body.token}` } });
  expect(asSouth.status).toBe(404);

  const session = await fetch(`${url}/api/session/`, {
    method: "POST",
    body: JSON.stringify({ token: tokens["admin"] }),
  });
  const cookie = session.headers.get("set-cookie")!;
  expect(cookie).toMatch(/HttpOnly/);
  expect(cookie).toMatch(/SameSite=Strict/);
  const withCookie = { cookie: cookie.split(";")[0]! };
  expect((await fetch(`${url}/api/sensors/`, { headers: withCookie })).status).toBe(200);
  const write = (origin?: string) =>
    fetch(`${url}/api/sensors/1/`, {
      method: "PATCH",
      headers: { ...withCookie, ...(origin === undefined ? {} : { origin }) },
      body: JSON.stringify({ name: "Uno" }),
    });
  expect((await write()).status).toBe(403);
  expect((await write("http://elsewhere.example")).status).toBe(403);
  expect((await write(url)).status).toBe(200);

  const {
    body: { code },
  } = await ask("POST", "/api/session/codes/");
  const useCode = () => fetch(`${url}/api/session/`, { method: "POST", body: JSON.stringify({ code }) });
  expect((await useCode()).status).toBe(200);
  expect((await useCode()).status).toBe(401);
});

it("readings are posted, kept and read back raw and in buckets; each that cannot be used is named", async () => {
  await using plant = await openPlant({ services: ["ingest", "calibration"] });
  const { ask } = await openGateway(plant, { READINGS_RETENTION_DAYS: "3650" });
  await ask("POST", "/api/sensors/", { id: 13, name: "Tank", type: "Pressure" });
  const start = Date.UTC(2026, 0, 5, 10);
  const at = (minute: number) => new Date(start + minute * MINUTE_MS).toISOString();

  const posted = await ask(
    "POST",
    "/api/readings/",
    [
      ...Array.from({ length: 120 }, (_, n) => ({ sensor_id: 13, raw_value: n, timestamp: at(n) })),
      { sensor_id: 99, raw_value: 1, timestamp: at(0) },
      { sensor_id: 13, raw_value: "hot", timestamp: at(0) },
      { sensor_id: 13, raw_value: 1 },
      { sensor_id: 13, raw_value: 1, timestamp: new Date(Date.now() + 3_600_000).toISOString() },
      { sensor_id: 13, raw_value: 1, timestamp: null },
      { raw_value: 1, timestamp: at(0) },
      "hot",
      null,
      { sensor_id: 13, raw_value: 1, timestamp: "1999-12-31T00:00:00Z" },
      { sensor_id: 13, raw_value: 1, timestamp: at(0), quality: "fine" },
      { sensor_id: 13, raw_value: 1, timestamp: new Date(Date.now() - 4000 * 24 * 60 * MINUTE_MS).toISOString() },
      { sensor_id: 99_999_999_999, raw_value: 1, timestamp: at(0) },
    ],
    "plant",
  );
  expect(posted).toMatchObject({ status: 202, body: { accepted: 120 } });
  expect(posted.body.rejected.map(({ index, code }: { index: number; code: string }) => [index, code])).toEqual([
    [120, "unknown_sensor"],
    [121, "invalid_reading"],
    [122, "invalid_reading"],
    [123, "future_timestamp"],
    [124, "invalid_reading"],
    [125, "invalid_reading"],
    [126, "invalid_reading"],
    [127, "invalid_reading"],
    [128, "invalid_reading"],
    [129, "invalid_reading"],
    [130, "too_old"],
    [131, "unknown_sensor"],
  ]);
  // One alone may lack its time, and be told that as null.
  const single = await ask("POST", "/api/readings/", { sensor_id: 13, raw_value: 119, timestamp: null });
  expect(single).toMatchObject({ status: 202, body: { accepted: 1, rejected: [] } });
  expect(await ask("POST", "/api/readings/", [{ sensor_id: 13, raw_value: null }])).toMatchObject({
    status: 202,
    body: { accepted: 0, rejected: [{ index: 0, code: "invalid_reading" }] },
  });
  await expect
    .poll(async () => (await ask("GET", "/api/readings/?sensor_id=13&limit=1000")).body.count, { timeout: WAIT_MS })
    .toBe(121);
  await expect
    .poll(async () => (await ask("GET", "/api/readings/?sensor_id=13&limit=1")).body.results[0].corrected_value, {
      timeout: WAIT_MS,
    })
    .toBe(119);

  const page = await ask(
    "GET",
    `/api/readings/?sensor_id=13&order=asc&limit=2&from=${at(10)}&to=${at(13)}`,
    undefined,
    "viewer",
  );
  expect(page.body.count).toBe(3);
  expect(page.body.results.map((reading: { raw_value: number }) => reading.raw_value)).toEqual([10, 11]);
  expect(page.body.results[0]).toEqual({
    sensor_id: 13,
    raw_value: 10,
    timestamp: at(10),
    quality: "good",
    corrected_value: 10,
    method: "identity",
    model_version: null,
    extrapolated: false,
  });
  expect(
    (
      await ask(
        "GET",
        `/api/readings/?sensor_id=13&order=asc&limit=2&from=${at(10)}&to=${at(13)}&cursor=${page.body.next}`,
      )
    ).body.results,
  ).toMatchObject([{ raw_value: 12 }]);
  // From the beginning of time, as machines know it, is from the first one on.
  for (const from of ["1970-01-01T00:00:00Z", "0", "-1", "0001-01-01T00:00:00Z"]) {
    const path = `/api/readings/?sensor_id=13&order=asc&limit=1&from=${from}&to=${at(120)}`;
    expect((await ask("GET", path)).body).toMatchObject({ count: 120, results: [{ raw_value: 0 }] });
    expect((await ask("GET", `/api/anomalies/?sensor_id=13&to=${from}`)).body).toMatchObject({ count: 0 });
  }
  expect((await ask("GET", `/api/readings/?sensor_id=13&resolution=3600&order=asc&to=${at(120)}`)).body).toEqual({
    count: 2,
    next: null,
    resolution: 3600,
    results: [
      { timestamp: at(0), min: 0, max: 59, mean: 29.5, count: 60 },
      { timestamp: at(60), min: 60, max: 119, mean: 89.5, count: 60 },
    ],
  });
  expect((await ask("GET", `/api/readings/?sensor_id=13&resolution=auto&to=${at(120)}`)).body).toMatchObject({
    count: 120,
    resolution: 60,
  });

  // What was answered as rejected is not told again as a dead letter.
  expect((await ask("GET", "/api/dead-letters/")).body).toMatchObject({ count: 0, results: [] });
  expect(await ask("GET", "/api/readings/")).toMatchObject({ status: 422 });
  expect(await ask("POST", "/api/readings/", "{nonsense")).toMatchObject({
    status: 400,
    body: { code: "invalid_json" },
  });
  expect(
    await ask(
      "POST",
      "/api/readings/",
      Array.from({ length: 10_001 }, () => ({ sensor_id: 13, raw_value: 1 })),
    ),
  ).toMatchObject({ status: 413, body: { code: "too_large" } });
  expect(await ask("DELETE", "/api/sensors/13/")).toMatchObject({ status: 409 });
  // What is on its way when its sensor is deleted is not kept after it.
  const onTheWay = Array.from({ length: 10_000 }, (_, n) => ({ sensor_id: 13, raw_value: n, timestamp: start - n }));
  expect((await ask("POST", "/api/readings/", onTheWay)).status).toBe(202);
  expect(await ask("DELETE", "/api/sensors/13/?force=true")).toMatchObject({ status: 204 });
  await expect.poll(async () => (await ask("GET", "/api/ml-analytics/")).body.lag.ingest, { timeout: WAIT_MS }).toBe(0);
  expect(await plant.rows("select 1 from readings union all select 1 from readings_per_hour")).toEqual([]);
});

it("calibrations are kept with what the sensor said before them, and correct what comes after", async () => {
  await using plant = await openPlant({ services: ["ingest", "calibration", "trainer"] });
  const { ask } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 13, name: "Tank", type: "Pressure" });
  const start = Date.UTC(2026, 0, 5, 10);
  const readings = Array.from({ length: 60 }, (_, n) => ({
    sensor_id: 13,
    raw_value: 100 + Math.floor(n / 6),
    timestamp: start + n * MINUTE_MS,
  }));
  await ask("POST", "/api/readings/", readings);
  await expect
    .poll(async () => (await ask("GET", "/api/readings/?sensor_id=13&limit=1000")).body.count, { timeout: WAIT_MS })
    .toBe(60);

  expect(await ask("POST", "/api/sensors/13/correct/", { raw_value: 101.3 })).toMatchObject({
    status: 200,
    body: { corrected_value: 101.3, method: "identity", fallback_reason: "model_missing" },
  });
  for (let n = 0; n < 8; n++) {
    const made = await ask("POST", "/api/calibrations/", {
      sensor_id: 13,
      corrected_value: 2 * (100 + n) - 90,
      applied_at: new Date(start + (6 * n + 5.5) * MINUTE_MS).toISOString(),
      ...(n === 0 ? { method: "linear", params: { slope: 2, intercept: -91 } } : {}),
    });
    expect(made).toMatchObject({ status: 201, body: { sensor_id: 13, raw_value: 100 + n } });
  }
  expect(
    await ask("POST", "/api/calibrations/", {
      sensor_id: 13,
      corrected_value: 1,
      method: "custom",
      params: { points: [] },
    }),
  ).toMatchObject({ status: 422, body: { errors: [{ path: "/params" }] } });
  expect(await ask("POST", "/api/sensors/13/correct/", { raw_value: 101 })).toMatchObject({
    body: { corrected_value: 111, method: "latest_calibration", fallback_reason: "model_missing" },
  });

  const trained = await ask("POST", "/api/model-training/", { sensor_id: 13, model_type: "calibration" });
  expect(trained).toMatchObject({
    status: 200,
    body: {
      sensor_id: 13,
      results: {
        calibration: {
          status: "trained",
          model: { model_name: "calibration_model_Tank_13", version: 1, samples: 8, current: true },
        },
      },
    },
  });
  const corrected = await ask("POST", "/api/sensors/13/correct/", { raw_value: 103.5 }, "viewer");
  expect(corrected.body).toMatchObject({ method: "linear_regression", model_version: 1, fallback_reason: null });
  expect(corrected.body.corrected_value).toBeCloseTo(117, 6);
  expect((await ask("GET", "/api/calibrations/?sensor_id=13&limit=3")).body).toMatchObject({
    count: 8,
    results: [{ corrected_value: 124 }, {}, {}],
  });
});

it("models are trained, listed, downloaded, and put back in force; their judgement is asked for and falls back", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly", "drift", "trainer"] });
  const { ask } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 17, name: "Reactor Temp Sensor", type: "Temperature" });
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const values = Array.from({ length: 400 }, (_, n) => 80 + Math.sin(n / 20) + 0.2 * Math.sin(n * 1.7));

  expect(await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 17 })).toMatchObject({
    status: 422,
    body: { code: "insufficient_data" },
  });
  expect(await ask("POST", "/api/model-training/", { sensor_id: 17, model_type: "anomaly" })).toMatchObject({
    status: 422,
    body: {
      code: "insufficient_data",
      results: { anomaly: { status: "insufficient_data", required: 10, available: 0 } },
    },
  });
  await ask(
    "POST",
    "/api/readings/",
    values.map((raw_value, n) => ({ sensor_id: 17, raw_value, timestamp: now - (400 - n) * MINUTE_MS })),
  );
  await expect.poll(async () => (await ask("GET", "/api/sensors/17/")).body.drift, { timeout: WAIT_MS }).not.toBeNull();
  await expect
    .poll(async () => (await ask("GET", "/api/sensors/17/")).body.status, { timeout: WAIT_MS })
    .toBe("online");

  expect(await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 17, value: 300 })).toMatchObject({
    status: 200,
    body: {
      method: "threshold",
      model_version: null,
      fallback_reason: "model_missing",
      results: [{ is_anomaly: true, threshold: 3.5 }],
    },
  });
  expect((await ask("GET", "/api/sensors/17/drift-prediction/?horizon=6")).body).toMatchObject({
    method: "trend",
    fallback_reason: "model_missing",
  });
  const trained = await ask("POST", "/api/model-training/", { sensor_id: 17 });
  expect(trained.body.results).toMatchObject({
    anomaly: { status: "trained" },
    drift: { status: "trained" },
    calibration: { status: "insufficient_data" },
  });
  const { body: again } = await ask("POST", "/api/model-training/", { sensor_id: 17, model_type: "anomaly" });
  expect(again.results.anomaly.model.version).toBe(2);

  const judged = await ask(
    "POST",
    "/api/enhanced-anomaly-detection/",
    {
      sensor_id: 17,
      readings: [
        { value: 300, timestamp: now },
        { value: 80, timestamp: now },
      ],
    },
    "viewer",
  );
  expect(judged.body).toMatchObject({
    method: "isolation_forest",
    model_version: 2,
    fallback_reason: null,
    results: [{ value: 300, is_anomaly: true, severity: "Low" }, { value: 80 }],
  });
  expect(await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 17, timestamp: now })).toMatchObject({
    status: 422,
    body: { errors: [{ path: "/value" }] },
  });
  const tooMany = Array.from({ length: 10_001 }, () => ({ value: 1, timestamp: now }));
  expect(await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 17, readings: tooMany })).toMatchObject({
    status: 413,
    body: { code: "too_large" },
  });
  for (const [horizon, step, points] of [
    [1, 0.1, 10],
    [0.3, 0.1, 3],
    [1.05, 0.7, 1],
    [0.5, 1, 0],
    [336, 0.5, 672],
  ])
    expect(
      (await ask("GET", `/api/sensors/17/drift-prediction/?horizon=${horizon}&step=${step}`)).body.predictions,
    ).toHaveLength(points!);
  const { body: predicted } = await ask("GET", "/api/sensors/17/drift-prediction/?horizon=24&step=5");
  expect(predicted.predictions).toHaveLength(4);
  expect(predicted).toMatchObject({ model_version: 1, fallback_reason: null, method: "linear_regression" });
  expect(predicted).toMatchObject({
    unreferenced: true,
    time_to_tolerance: null,
    slope: { percent_per_day: expect.any(Number) as number },
  });
  expect(await ask("GET", "/api/sensors/17/drift-prediction/?horizon=337")).toMatchObject({ status: 422 });

  const { body: list } = await ask("GET", "/api/model-training/?sensor_id=17&model_type=anomaly");
  expect(list.results.map(({ version, current }: { version: number; current: boolean }) => [version, current])).toEqual(
    [
      [2, true],
      [1, false],
    ],
  );
  const artifact = await ask("GET", `/api/model-training/${list.results[1].id}/artifact`);
  expect(artifact.headers.get("content-disposition")).toBe(
    'attachment; filename="anomaly_model_Reactor_Temp_Sensor_17.bin"',
  );
  expect(Number(artifact.headers.get("content-length"))).toBe(list.results[1].size_bytes);
  expect((await ask("POST", `/api/model-training/${list.results[1].id}/promote`)).body).toMatchObject({
    version: 1,
    current: true,
  });
  // Back to the one that was in force before; the newest event says so. A model that never was cannot be gone back to.
  expect((await ask("POST", `/api/model-training/${list.results[1].id}/rollback`)).body).toMatchObject({
    version: 2,
    current: true,
    params: {
      promotion: { mode: "automatic", promoted: true, reason: expect.stringMatching(/^not comparable: /) as string },
      lineage: {
        seed: 42,
        rows: expect.any(Number) as number,
        data_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      },
    },
  });
  expect((await ask("POST", `/api/model-training/${list.results[1].id}/rollback`)).body).toMatchObject({ version: 1 });
  await expect
    .poll(() => plant.lastSaid("EVENTS", "events.model.anomaly.17"), { timeout: WAIT_MS })
    .toMatchObject({ event: "rolled_back", version: 1, current: true });
  // Every time that a version was put in force is told, newest first.
  const promotions = (asked: string) => ask("GET", `/api/model-training/promotions/${asked}`, undefined, "viewer");
  const { body: inForce } = await promotions("?sensor_id=17&model_type=anomaly");
  expect(inForce.results.map(({ version }: { version: number }) => version)).toEqual([1, 2, 1, 2, 1]);
  expect(inForce.results[0]).toMatchObject({ model_id: list.results[1].id, sensor_id: 17, model_type: "anomaly" });
  const { body: page } = await promotions("?sensor_id=17&model_type=anomaly&limit=3");
  expect(page).toMatchObject({ count: 5 });
  expect((await promotions(`?sensor_id=17&model_type=anomaly&limit=3&cursor=${page.next}`)).body.results).toEqual(
    inForce.results.slice(3),
  );
  expect(await ask("POST", `/api/model-training/${list.results[1].id}/rollback`, undefined, "viewer")).toMatchObject({
    status: 403,
  });

  await plant.database.pool.query(
    "update model_artifacts set artifact = set_byte(artifact, 40, 255 - get_byte(artifact, 40)) where current and model_type = 'anomaly'",
  );
  expect((await ask("POST", "/api/enhanced-anomaly-detection/", { sensor_id: 17, value: 80 })).body).toMatchObject({
    method: "threshold",
    fallback_reason: "model_damaged",
  });

  const all = await ask("POST", "/api/model-training/", { sensor_id: "all" });
  expect(all.status).toBe(202);
  await expect
    .poll(async () => (await ask("GET", `/api/model-training/jobs/${all.body.job_id}/`)).body, { timeout: WAIT_MS })
    .toMatchObject({ status: "finished", done: 3, total: 3 });
  expect(await ask("POST", "/api/model-training/", { sensor_id: 404 })).toMatchObject({ status: 404 });
  const { body: analytics } = await ask("GET", "/api/ml-analytics/");
  expect(analytics).toMatchObject({
    sensors: { total: 1 },
    readings: { total: 400 },
    models: { by_type: { anomaly: 1, drift: 1, calibration: 0 } },
    calibration_improvement: { value: null, reason: "no calibration model has been trained" },
    // Nobody corrects here, so that service is behind from the first reading on.
    lag: { calibration: expect.toSatisfy((lag: number) => lag > 0) as number },
  });
  await expect
    .poll(async () => (await ask("GET", "/api/ml-analytics/")).body.lag, { timeout: WAIT_MS })
    .toMatchObject({ ingest: 0, anomaly: 0, drift: 0 });
});

it("an anomaly is shown, followed as an event, and resolved by a person", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly"] });
  const { ask, url, tokens } = await openGateway(plant);
  const { body: sensor } = await ask("POST", "/api/sensors/", {
    id: 17,
    name: "Reactor",
    type: "Temperature",
    range_min: 0,
    range_max: 100,
  });
  const stop = new AbortController();
  const events = await fetch(`${url}/api/events/`, {
    headers: { authorization: `Bearer ${tokens["viewer"]!}` },
    signal: stop.signal,
  });
  let heard = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of events.body!) heard += decoder.decode(chunk as Uint8Array, { stream: true });
  })().catch(() => undefined);

  await plant.publish(sensor, { value: 140, timestamp: Date.now() });
  await expect
    .poll(async () => (await ask("GET", "/api/anomalies/?sensor_id=17&resolved=false")).body.count, {
      timeout: WAIT_MS,
    })
    .toBe(1);
  const {
    body: {
      results: [anomaly],
    },
  } = await ask("GET", "/api/anomalies/?alarm=true");
  expect(anomaly).toMatchObject({ sensor_id: 17, value: 140, resolved: false, alarm: true, method: "rule" });
  await expect.poll(() => heard, { timeout: WAIT_MS }).toMatch(/event: anomaly\nid: \d+\ndata: .*"event":"opened"/);
  expect((await ask("GET", "/api/sensors/17/")).body.status).not.toBe("online");

  const resolved = await ask("PATCH", `/api/anomalies/${anomaly.id}/`, { resolved: true, note: "a test" }, "operator");
  expect(resolved).toMatchObject({ status: 200, body: { resolved: true, resolved_by: "person", note: "a test" } });
  expect(resolved.body.type).not.toBeNull();
  expect(await ask("PATCH", `/api/anomalies/${anomaly.id}/`, { resolved: false })).toMatchObject({ status: 409 });
  stop.abort();
});

it("many anomalies are resolved by one request, all or none where one of them is not there", async () => {
  await using plant = await openPlant({ services: ["ingest", "anomaly"] });
  const { ask } = await openGateway(plant);
  for (const id of [17, 18]) {
    const range = { range_min: 0, range_max: 100 };
    const { body: sensor } = await ask("POST", "/api/sensors/", { id, name: "Reactor", type: "Temperature", ...range });
    await plant.publish(sensor, { value: 140, timestamp: Date.now() });
  }
  const open = () => ask("GET", "/api/anomalies/?resolved=false");
  await expect.poll(async () => (await open()).body.count, { timeout: WAIT_MS }).toBe(2);
  const ids = (await open()).body.results.map(({ id }: { id: number }) => id);
  const resolve = (body: unknown, as?: "viewer" | "operator") => ask("POST", "/api/anomalies/resolve/", body, as);

  expect(await resolve({ ids: [...ids, 999_999] })).toMatchObject({ status: 404, body: { code: "not_found" } });
  expect(await resolve({ ids: [] })).toMatchObject({ status: 422 });
  expect(await resolve({ ids }, "viewer")).toMatchObject({ status: 403 });
  expect((await open()).body.count).toBe(2);
  const answer = await resolve({ ids, note: "a test of the range" }, "operator");
  expect(answer).toMatchObject({ status: 200, body: { pending: [] } });
  expect(answer.body.resolved.toSorted()).toEqual(ids.toSorted());
  for (const one of (await ask("GET", "/api/anomalies/?resolved=true")).body.results)
    expect(one).toMatchObject({ resolved_by: "person", note: "a test of the range" });
});

it("dead letters are shown, grouped, and replayed once the sensor exists", async () => {
  await using plant = await openPlant({ services: ["ingest"] });
  const { ask } = await openGateway(plant);
  const timestamp = Date.UTC(2026, 0, 5);
  await plant.publish({ site: "main", key: "21" }, { value: 5, timestamp });
  await expect
    .poll(async () => (await ask("GET", "/api/dead-letters/?reason=unknown_sensor")).body.count, { timeout: WAIT_MS })
    .toBe(1);
  expect((await ask("GET", "/api/dead-letters/")).body.results[0]).toMatchObject({
    subject: "readings.main.21",
    reason: "unknown_sensor",
    payload_truncated: false,
    payload: `{"value":5,"timestamp":${timestamp}}`,
  });
  expect((await ask("GET", "/api/dead-letters/", undefined, "viewer")).body.results[0].payload).toBeNull();
  expect((await ask("GET", "/api/dead-letters/?group=sensor")).body.results).toMatchObject([
    { site: "main", key: "21", count: 1, last_value: 5 },
  ]);
  // What stands in a payload is not for viewers, in whichever form.
  expect((await ask("GET", "/api/dead-letters/?group=sensor", undefined, "viewer")).body.results).toMatchObject([
    { site: "main", key: "21", count: 1, last_value: null },
  ]);

  await ask("POST", "/api/sensors/", { id: 21, name: "New", type: "Flow" });
  expect((await ask("POST", "/api/dead-letters/replay/", { reason: "unknown_sensor" })).body).toEqual({ replayed: 1 });
  expect((await ask("POST", "/api/dead-letters/replay/", { reason: "unknown_sensor" })).body).toEqual({ replayed: 0 });
  await expect
    .poll(async () => (await ask("GET", "/api/readings/?sensor_id=21")).body.results?.[0]?.raw_value, {
      timeout: WAIT_MS,
    })
    .toBe(5);
  const { body } = await ask("GET", "/api/openapi.json", undefined, null);
  expect(body).toMatchObject({ openapi: "3.1.0" });
  expect(Object.keys(body.paths).length).toBeGreaterThan(20);
});
