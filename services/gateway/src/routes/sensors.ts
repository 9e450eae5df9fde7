import { say } from "@calibration/shared/bus.ts";
import { isTimeZone } from "@calibration/models/calendar.ts";
import { inTransaction } from "@calibration/shared/database.ts";
import { FACT_LEAD_MS } from "@calibration/shared/facts.ts";
import { byAttention, countStatuses, isSought } from "@calibration/shared/attention.ts";
import {
  SENSOR_STATUSES,
  SETTINGS_DEFAULTS,
  UNIT_OF_TYPE,
  type SensorBody,
  type SensorSettings,
} from "@calibration/shared/sensor.ts";
import { subjects, TOKEN_PATTERN } from "@calibration/shared/topology.ts";
import type { FastifyInstance } from "fastify";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { Type, type Static } from "typebox";
import { STREAM_SERVICES, untilPassed } from "../lag.ts";
import { listPage, pageQuery } from "../paging.ts";
import { invalid, Problem } from "../problem.ts";
import {
  Attention,
  Budget,
  FalseAlarmsPerMonth,
  IdParams,
  listOf,
  oneOf,
  Sensor,
  SensorChange,
  SensorFields,
  SensorPart,
  SensorToCreate,
  Site,
} from "../schemas.ts";
import {
  bodyToKeep,
  findAttended,
  findSensor,
  findSensors,
  maySee,
  SENSOR_COLUMNS,
  SENSOR_JOINS,
  sensorBody,
  type SensorAnswer,
  type SensorRow,
} from "../sensors.ts";
import { typed, type Parts } from "../server.ts";

const SITE_DEFAULT = "main";
/** The identity column may meet ids that were given; it steps over so many of them. */
const ID_ATTEMPTS_MAX = 1000;
const BUDGET_DEFAULT = SETTINGS_DEFAULTS.false_alarms_per_month;
/** So many sensors take a budget in one transaction, which has 50 ms to commit. */
const BUDGETS_AT_ONCE = 200;
/** Of a site's sensors that changed together, so many are read and told of at once. */
const TOLD_AT_ONCE = 200;
/** Sensors that need somebody, in one answer. */
const ATTENTION_MAX = 1000;
const ATTENTION_DEFAULT = 100;
const QUERY_LENGTH_MAX = 200;
/** Whatever holds a sensor's rows, for a deletion with force. */
const TABLES_OF_SENSOR = [
  "readings",
  "readings_per_minute",
  "readings_per_hour",
  "sensor_latest",
  "anomalies",
  "sensor_status",
  "anomaly_state",
  "novelty_snapshots",
  "sensor_drift",
  "hourly_means",
  "drift_predictions",
  "corrected_readings",
  "corrected_per_hour",
  "correction_state",
  "calibrations",
  "model_promotions",
  "model_artifacts",
  "training_runs",
];

export function sensorRoutes(scope: FastifyInstance, { pool, bus, log, replicas, partitions }: Parts): void {
  const app = typed(scope);
  const tell = (event: string, ...sensors: SensorAnswer[]): Promise<void> =>
    say(
      bus,
      sensors.map((sensor) => ({
        subject: subjects.sensorEvent(sensor.site, sensor.key),
        id: `sensor-${sensor.id}-${event}-${randomUUID()}`,
        body: JSON.stringify({ event, ...sensor }),
      })),
    );

  app.get(
    "/api/sensors",
    {
      config: { access: "read" },
      schema: {
        querystring: Type.Object({
          ...pageQuery,
          site: Type.Optional(Type.String()),
          type: Type.Optional(Type.String()),
          fields: Type.Optional(SensorFields),
        }),
        response: { 200: Type.Union([listOf(Sensor), listOf(SensorPart)]) },
      },
    },
    ({ query, identity }) => {
      const pick = pickerOf(query.fields);
      return listPage<SensorRow, Partial<SensorAnswer>>(pool, query, {
        columns: SENSOR_COLUMNS,
        from: "sensors s",
        joins: SENSOR_JOINS,
        where: [
          ["s.site = any($)", identity.sites],
          ["s.site = $", query.site],
          ["s.type = $", query.type],
        ],
        key: [["s.id", "int"]],
        keyOf: (row) => [row.id],
        body: (row) => pick(sensorBody(row)),
      });
    },
  );

  app.get(
    "/api/attention",
    {
      config: { access: "read" },
      schema: {
        querystring: Type.Object({
          q: Type.Optional(
            Type.String({ maxLength: QUERY_LENGTH_MAX, description: "words of its name, id, key, site or type" }),
          ),
          site: Type.Optional(Type.String()),
          type: Type.Optional(Type.String()),
          status: Type.Optional(oneOf(SENSOR_STATUSES)),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ATTENTION_MAX, default: ATTENTION_DEFAULT })),
        }),
        response: { 200: Attention },
      },
    },
    async ({ query: { limit = ATTENTION_DEFAULT, ...sought }, identity }) => {
      const { status: _, ...rest } = sought;
      const found = (await findAttended(pool, identity.sites)).filter((sensor) => isSought(sensor, rest));
      const shown = found.filter((sensor) => isSought(sensor, sought)).toSorted(byAttention);
      return {
        count: shown.length,
        by_status: countStatuses(found),
        results: await findSensors(
          pool,
          shown.slice(0, limit).map(({ id }) => id),
        ),
      };
    },
  );

  app.get(
    "/api/sensors/:id",
    { config: { access: "read" }, schema: { params: IdParams, response: { 200: Sensor } } },
    async ({ params, identity }) => sensorBody(await findSensor(pool, params.id, identity)),
  );

  app.post(
    "/api/sensors",
    { config: { access: "admin" }, schema: { body: SensorToCreate, response: { 201: Sensor } } },
    async ({ body, identity }, reply) => {
      requireSense(body);
      const site = body.site ?? SITE_DEFAULT;
      if (!maySee(identity, site)) throw new Problem("forbidden", `this token is fenced to other sites than ${site}`);
      const id = await inTransaction(pool, (client) => insert(client, body, site)).catch(conflictOf);
      await pause(FACT_LEAD_MS);
      const sensor = sensorBody(await findSensor(pool, id, identity));
      await tell("created", sensor);
      return reply.status(201).send(sensor);
    },
  );

  app.get(
    "/api/sites",
    { config: { access: "read" }, schema: { querystring: Type.Object(pageQuery), response: { 200: listOf(Site) } } },
    ({ query, identity }) =>
      listPage<Static<typeof Site>, Static<typeof Site>>(pool, query, {
        columns: "s.*",
        from: `(select site, count(*)::int as sensors, coalesce(b.false_alarms_per_month, ${BUDGET_DEFAULT})::float8 as false_alarms_per_month,
                       count(*) filter (where coalesce((settings->>'false_alarms_per_month')::float8, ${BUDGET_DEFAULT})
                                              <> coalesce(b.false_alarms_per_month, ${BUDGET_DEFAULT}))::int as own_budgets
                  from sensors left join site_budgets b using (site) group by site, b.false_alarms_per_month) s`,
        where: [["s.site = any($)", identity.sites]],
        key: [["s.site", "text"]],
        keyOf: ({ site }) => [site],
        body: (row) => row,
      }),
  );

  app.get(
    "/api/sites/:site/false-alarm-budget",
    { config: { access: "read" }, schema: { params: Type.Object({ site: Type.String() }), response: { 200: Budget } } },
    async ({ params: { site }, identity }) => {
      const { rows } = await pool.query<{ budget: number | null; sensors: number }>(
        `select (select false_alarms_per_month from site_budgets where site = $1) as budget,
                (select count(*)::int from sensors where site = $1) as sensors`,
        [site],
      );
      const { budget, sensors } = rows[0]!;
      if (!maySee(identity, site) || sensors === 0) throw new Problem("not_found", `there is no site ${site}`);
      return { site, false_alarms_per_month: budget ?? SETTINGS_DEFAULTS.false_alarms_per_month, sensors };
    },
  );

  app.put(
    "/api/sites/:site/false-alarm-budget",
    {
      config: { access: "admin" },
      schema: {
        params: Type.Object({ site: Type.String() }),
        body: Type.Object({ false_alarms_per_month: FalseAlarmsPerMonth }, { additionalProperties: false }),
        response: { 200: Budget },
      },
    },
    async ({ params: { site }, body, identity }) => {
      if (!maySee(identity, site)) throw new Problem("not_found", `there is no site ${site}`);
      await inTransaction(pool, (client) => keepBudget(client, site, body));
      const ids: number[] = [];
      for (;;) {
        const slice = await inTransaction(pool, (client) => takeBudget(client, site, body, ids.at(-1) ?? 0));
        ids.push(...slice);
        if (slice.length < BUDGETS_AT_ONCE) break;
      }
      await pause(FACT_LEAD_MS);
      for (let start = 0; start < ids.length; start += TOLD_AT_ONCE)
        await tell("changed", ...(await findSensors(pool, ids.slice(start, start + TOLD_AT_ONCE))));
      return { site, ...body, sensors: ids.length };
    },
  );

  app.patch(
    "/api/sensors/:id",
    { config: { access: "admin" }, schema: { params: IdParams, body: SensorChange, response: { 200: Sensor } } },
    async ({ params, body, identity }) => {
      const known = await findSensor(pool, params.id, identity);
      for (const name of ["id", "site", "key"] as const) {
        if (body[name] !== undefined && body[name] !== known[name])
          throw new Problem("conflict", `${name} never changes: make another sensor`);
      }
      await inTransaction(pool, async (client) => {
        // Held until it is written, so that of two changes at once neither undoes the other.
        const { rows } = await client.query<SensorRow>("select * from sensors where id = $1 for update", [params.id]);
        const [before] = rows;
        if (before === undefined) throw new Problem("not_found", `there is no sensor ${params.id}`);
        const kept = bodyToKeep(before);
        const next: SensorBody = { ...kept, ...pickBody(body), settings: { ...kept.settings, ...body.settings } };
        requireSense(next);
        await client.query(
          "update sensors set name = $2, type = $3, unit = $4, range_min = $5, range_max = $6, expected_interval_s = $7, baseline = $8, settings = $9 where id = $1",
          [
            params.id,
            next.name,
            next.type,
            next.unit,
            next.range_min,
            next.range_max,
            next.expected_interval_s,
            next.baseline,
            JSON.stringify(next.settings),
          ],
        );
        await keepVersions(client, [{ ...before, body: next }]);
      });
      await pause(FACT_LEAD_MS);
      const sensor = sensorBody(await findSensor(pool, params.id, identity));
      await tell("changed", sensor);
      return sensor;
    },
  );

  app.delete(
    "/api/sensors/:id",
    {
      config: { access: "admin" },
      schema: { params: IdParams, querystring: Type.Object({ force: Type.Optional(Type.Boolean()) }) },
    },
    async ({ params, query, identity }, reply) => {
      const row = await findSensor(pool, params.id, identity);
      if (row.readings !== null && row.readings > 0 && query.force !== true)
        throw new Problem("conflict", `sensor ${params.id} has ${row.readings} readings; ?force=true deletes them too`);
      const sensor = sensorBody(row);
      await inTransaction(pool, async (client) => {
        await keepVersions(client, [{ ...row, body: bodyToKeep(row) }], true);
        await client.query("delete from sensors where id = $1", [params.id]);
      });
      // From the version's instant on no service admits its readings; those that came before would be kept after their sensor.
      await pause(FACT_LEAD_MS);
      const present = STREAM_SERVICES.filter((service) => replicas().some((replica) => replica.service === service));
      if (!(await untilPassed(bus, pool, present, { site: row.site, key: row.key, partitions })))
        log.warn({ sensorId: row.id }, "services are behind: they will keep rows of a sensor that is deleted");
      for (const table of TABLES_OF_SENSOR) await pool.query(`delete from ${table} where sensor_id = $1`, [params.id]);
      await tell("deleted", sensor);
      return reply.status(204).send();
    },
  );
}

async function insert(client: pg.PoolClient, body: Static<typeof SensorToCreate>, site: string): Promise<number> {
  const id = body.id ?? (await nextId(client));
  const key = body.key ?? String(id);
  if (!TOKEN_PATTERN.test(key)) throw invalid("/key", "a key is 1 to 64 letters, digits, - and _");
  if (!TOKEN_PATTERN.test(site)) throw invalid("/site", "a site is 1 to 64 letters, digits, - and _");
  if (/^\d+$/.test(key) && key !== String(id))
    throw invalid("/key", `a key of digits only must equal the id, which is ${id}`);
  const kept: SensorBody = {
    unit: UNIT_OF_TYPE[body.type],
    range_min: null,
    range_max: null,
    expected_interval_s: null,
    baseline: null,
    ...pickBody(body),
    name: body.name,
    type: body.type,
    settings: { ...SETTINGS_DEFAULTS, ...(await findBudget(client, site)), ...body.settings },
  };
  await client.query(
    "insert into sensors (id, key, site, name, type, unit, range_min, range_max, expected_interval_s, baseline, settings) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    [
      id,
      key,
      site,
      kept.name,
      kept.type,
      kept.unit,
      kept.range_min,
      kept.range_max,
      kept.expected_interval_s,
      kept.baseline,
      JSON.stringify(kept.settings),
    ],
  );
  await keepVersions(client, [{ id, site, key, body: kept }]);
  return id;
}

/** A sensor that is made while the budget of its site is set begins with the one or gets the other. */
const lockBudget = (client: pg.PoolClient, site: string) =>
  client.query("select pg_advisory_xact_lock(hashtext('false alarm budget'), hashtext($1))", [site]);

/** Sensors that are made from now on begin with it. */
async function keepBudget(client: pg.PoolClient, site: string, budget: SiteBudget): Promise<void> {
  await lockBudget(client, site);
  const { rowCount } = await client.query("select from sensors where site = $1 limit 1", [site]);
  if (rowCount === 0) throw new Problem("not_found", `there is no site ${site}`);
  await client.query(
    `insert into site_budgets (site, false_alarms_per_month) values ($1, $2)
     on conflict (site) do update set false_alarms_per_month = excluded.false_alarms_per_month`,
    [site, budget.false_alarms_per_month],
  );
}

/**
 * The next of the site's sensors get it; answers with their ids, and with none where somebody has set another budget since: that
 * one is on its way through all of them. All of a large site in one transaction would take seconds to commit, and a version that
 * is seen so long after the instant from which it counts is not heeded.
 */
async function takeBudget(client: pg.PoolClient, site: string, budget: SiteBudget, after: number): Promise<number[]> {
  if ((await findBudget(client, site))?.false_alarms_per_month !== budget.false_alarms_per_month) return [];
  const { rows } = await client.query<SensorRow>(
    "select * from sensors where site = $1 and id > $2 order by id limit $3 for update",
    [site, after, BUDGETS_AT_ONCE],
  );
  const versions = rows.map((row) => {
    const kept = bodyToKeep(row);
    return { id: row.id, site, key: row.key, body: { ...kept, settings: { ...kept.settings, ...budget } } };
  });
  await client.query(
    "update sensors s set settings = u.settings::jsonb from unnest($1::int[], $2::text[]) u (id, settings) where s.id = u.id",
    [versions.map(({ id }) => id), versions.map(({ body }) => JSON.stringify(body.settings))],
  );
  await keepVersions(client, versions);
  return versions.map(({ id }) => id);
}

type SiteBudget = Pick<SensorSettings, "false_alarms_per_month">;

async function findBudget(client: pg.PoolClient, site: string): Promise<SiteBudget | undefined> {
  await lockBudget(client, site);
  const { rows } = await client.query<SiteBudget>("select false_alarms_per_month from site_budgets where site = $1", [
    site,
  ]);
  return rows[0];
}

async function nextId(client: pg.PoolClient): Promise<number> {
  for (let attempt = 0; attempt < ID_ATTEMPTS_MAX; attempt++) {
    const { rows } = await client.query<{ id: number; taken: boolean }>(
      "select n.id::int as id, exists (select 1 from sensors s where s.id = n.id) as taken from (select nextval(pg_get_serial_sequence('sensors', 'id')) as id) n",
    );
    if (!rows[0]!.taken) return rows[0]!.id;
  }
  throw new Error("no free sensor id was found");
}

interface Version {
  id: number;
  site: string;
  key: string;
  body: SensorBody;
}

async function keepVersions(client: pg.PoolClient, versions: readonly Version[], deleted = false): Promise<void> {
  await client.query(
    `insert into sensor_versions (sensor_id, valid_from, site, key, body, deleted)
     select id, clock_timestamp() + make_interval(secs => $6 / 1000.0), site, key, body::jsonb, $5
       from unnest($1::int[], $2::text[], $3::text[], $4::text[]) u (id, site, key, body)
     on conflict (sensor_id, valid_from) do update set body = excluded.body, deleted = excluded.deleted`,
    [
      versions.map(({ id }) => id),
      versions.map(({ site }) => site),
      versions.map(({ key }) => key),
      versions.map(({ body }) => JSON.stringify(body)),
      deleted,
      FACT_LEAD_MS,
    ],
  );
}

/** Leaves of a sensor what was asked for. Throws `invalid_input` for a field that it has not. */
function pickerOf(fields: string | undefined): (sensor: SensorAnswer) => Partial<SensorAnswer> {
  if (fields === undefined) return (sensor) => sensor;
  const paths = [...new Set(fields.split(","))].map((field) => field.split("."));
  for (const [name, own] of paths) {
    const parts = FIELDS_OF_SENSOR.get(name!);
    if (parts === undefined || (own !== undefined && !parts.includes(own)))
      throw invalid("/fields", `a sensor has no ${own === undefined ? name : `${name}.${own}`}`);
  }
  return (sensor) => {
    const picked: Record<string, unknown> = {};
    for (const [name, own] of paths) {
      const value = sensor[name as keyof SensorAnswer];
      if (own === undefined || value === null) picked[name!] = value;
      else picked[name!] = { ...(picked[name!] as object), [own]: (value as unknown as Record<string, unknown>)[own] };
    }
    return picked;
  };
}

/** A sensor's fields, and what those that are objects have. */
const FIELDS_OF_SENSOR: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(SensorPart.properties).map(([name, schema]) => [name, fieldsOf(schema)]),
);

function fieldsOf(schema: object): string[] {
  const { properties = {}, anyOf = [] } = schema as { properties?: object; anyOf?: object[] };
  return [...Object.keys(properties), ...anyOf.flatMap(fieldsOf)];
}

/** What of a body may be said of a sensor, leaving out what was not given. */
function pickBody(body: Partial<Record<keyof SensorBody, unknown>>): Partial<SensorBody> {
  const names = ["name", "type", "unit", "range_min", "range_max", "expected_interval_s", "baseline"] as const;
  return Object.fromEntries(
    names.flatMap((name) => (body[name] === undefined ? [] : [[name, body[name]]])),
  ) as Partial<SensorBody>;
}

function requireSense(body: {
  range_min?: number | null;
  range_max?: number | null;
  settings?: { time_zone?: string; features?: readonly string[] };
}): void {
  const { range_min: low = null, range_max: high = null, settings } = body;
  if (low !== null && high !== null && low >= high)
    throw invalid("/range_max", `the range's end ${high} must lie above its beginning ${low}`);
  if (settings?.time_zone !== undefined && !isTimeZone(settings.time_zone))
    throw invalid("/settings/time_zone", `"${settings.time_zone}" is not an IANA time zone`);
  if (settings?.features?.includes("value") === false)
    throw invalid("/settings/features", "value is always among the features");
}

function conflictOf(error: unknown): never {
  const { code, constraint } = error as { code?: string; constraint?: string };
  if (code === "23505")
    throw new Problem(
      "conflict",
      constraint === "sensors_site_key" ? "another sensor has this site and key" : "another sensor has this id",
      {},
      { cause: error },
    );
  throw error;
}
