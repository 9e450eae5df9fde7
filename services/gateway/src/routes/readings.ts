import type { CorrectionMethod } from "@calibration/shared/calibration.ts";
import { parseMessage, QUALITIES, refuseTooOld, type DeadReason, type Quality } from "@calibration/shared/reading.ts";
import { READINGS_PER_MESSAGE_MAX, subjects } from "@calibration/shared/topology.ts";
import { TRACEPARENT_HEADER, traceHeaders, traceparentOf } from "@calibration/shared/trace.ts";
import type { FastifyInstance } from "fastify";
import type pg from "pg";
import { Type } from "typebox";
import { findSensor, maySee, type SensorRow } from "../sensors.ts";
import { readBound } from "../instants.ts";
import { listPage, pageQuery, type PageQuery } from "../paging.ts";
import { invalid, Problem } from "../problem.ts";
import { Instant, Sparkline } from "../schemas.ts";
import { READINGS_BODY_BYTES_MAX, typed, type Parts } from "../server.ts";

/** Seconds a bucket may have where `auto` chooses, and how many buckets it allows. */
const AUTO_SECONDS = [60, 300, 900, 3600, 21_600, 86_400] as const;
const BUCKETS_MAX = 2000;
/** Sensors whose last day is asked for at once. */
const SPARKLINES_MAX = 200;
/** A message on NATS carries this many readings of a sensor. */
const READINGS_PER_PUBLISH = 1000;
/** A client that waits is told sooner than a service that works on. */
const ACKNOWLEDGED_MS_MAX = 5_000;

interface ReadingRow {
  sensor_id: number;
  raw_value: number;
  timestamp: Date;
  quality: number;
  corrected_value: number | null;
  method: CorrectionMethod | null;
  model_version: number | null;
  extrapolated: boolean | null;
}

export const readingBody = (row: ReadingRow) => ({
  sensor_id: row.sensor_id,
  raw_value: row.raw_value,
  timestamp: row.timestamp.toISOString(),
  quality: QUALITIES[row.quality] as Quality,
  corrected_value: row.corrected_value,
  method: row.method,
  model_version: row.model_version,
  extrapolated: row.extrapolated,
});

export function readingRoutes(scope: FastifyInstance, parts: Parts): void {
  const { pool } = parts;
  const app = typed(scope);
  const Query = Type.Object({
    ...pageQuery,
    sensor_id: Type.Integer(),
    from: Type.Optional(Instant),
    to: Type.Optional(Instant),
    resolution: Type.Optional(
      Type.Union([Type.Literal("raw"), Type.Literal("auto"), Type.Literal("60"), Type.Literal("3600")], {
        default: "raw",
      }),
    ),
    /** Buckets of what the readings were corrected to, not of what was measured. */
    series: Type.Optional(Type.Union([Type.Literal("raw"), Type.Literal("corrected")], { default: "raw" })),
  });
  app.get(
    "/api/readings",
    { config: { access: "read" }, schema: { querystring: Query } },
    async ({ query, identity }) => {
      const sensor = await findSensor(pool, query.sensor_id, identity);
      const from = readBound("/from", query.from);
      const to = readBound("/to", query.to);
      const resolution = query.resolution ?? "raw";
      if (resolution === "raw") return rawReadings(parts, sensor, from, to, query);
      const seconds = resolution === "auto" ? await chooseSeconds(pool, query.sensor_id, from, to) : Number(resolution);
      const { sensor_id: sensorId, series = "raw", order = "desc" } = query;
      const results = await buckets(pool, series, { sensorId, seconds, from, to, order });
      return { count: results.length, next: null, resolution: seconds, results };
    },
  );

  const SparklineQuery = Type.Object({
    sensor_ids: Type.String({
      pattern: "^\\d{1,10}(,\\d{1,10})*$",
      description: `ids with commas between them, at most ${SPARKLINES_MAX}`,
    }),
  });
  app.get(
    "/api/sparklines",
    {
      config: { access: "read" },
      schema: { querystring: SparklineQuery, response: { 200: Type.Object({ results: Type.Array(Sparkline) }) } },
    },
    async ({ query, identity }) => {
      const ids = query.sensor_ids.split(",").map(Number);
      if (ids.length > SPARKLINES_MAX) throw invalid("/sensor_ids", `at most ${SPARKLINES_MAX} at once`);
      return { results: await sparklines(pool, ids, identity.sites) };
    },
  );

  app.post(
    "/api/readings",
    { config: { access: "publish" }, bodyLimit: READINGS_BODY_BYTES_MAX, schema: { body: PostedBody } },
    async ({ body, identity, headers }, reply) => {
      const elements: unknown[] = Array.isArray(body) ? body : [body];
      if (elements.length > READINGS_PER_MESSAGE_MAX)
        throw new Problem("too_large", `${elements.length} readings, at most ${READINGS_PER_MESSAGE_MAX} at once`);
      if (elements.length === 0 || (!Array.isArray(body) && !isObject(body))) {
        throw new Problem("invalid_input", "send one reading or an array of readings", {
          errors: [{ path: "/", message: "must be {sensor_id, raw_value, timestamp?, quality?} or an array of these" }],
        });
      }
      const judged = await judge(parts, elements, identity.sites);
      await publish(parts, judged.accepted, traceparentOf(headers[TRACEPARENT_HEADER]));
      return reply.status(202).send({ accepted: judged.accepted.length, rejected: judged.rejected });
    },
  );
}

function rawReadings(
  { pool, retentionDays }: Pick<Parts, "pool" | "retentionDays">,
  sensor: SensorRow,
  from: Date | null,
  to: Date | null,
  query: PageQuery,
) {
  return listPage<ReadingRow, ReturnType<typeof readingBody>>(pool, query, {
    columns:
      "r.sensor_id, r.raw_value, r.timestamp, r.quality, c.corrected_value, c.method, c.model_version, c.extrapolated",
    from: "readings r",
    joins: "left join corrected_readings c on c.sensor_id = r.sensor_id and c.timestamp = r.timestamp",
    where: [
      ["r.sensor_id = $", sensor.id],
      ["r.timestamp >= $", from],
      ["r.timestamp < $", to],
    ],
    key: [["r.timestamp", "timestamptz"]],
    keyOf: (row) => [row.timestamp.toISOString()],
    body: readingBody,
    // Ingest keeps count of what it kept of each sensor; counting years of readings takes seconds.
    total: from === null && to === null && retentionDays === 0 ? async () => sensor.readings ?? 0 : undefined,
  });
}

/** The finest of {@link AUTO_SECONDS} that gives at most {@link BUCKETS_MAX} buckets. */
async function chooseSeconds(pool: pg.Pool, sensorId: number, from: Date | null, to: Date | null): Promise<number> {
  const { rows } = await pool.query<{ first: Date | null; last: Date | null }>(
    "select min(bucket) as first, max(bucket) as last from readings_per_hour where sensor_id = $1",
    [sensorId],
  );
  const first = Math.max(from?.getTime() ?? 0, rows[0]?.first?.getTime() ?? 0);
  const last = Math.min(to?.getTime() ?? Infinity, (rows[0]?.last?.getTime() ?? first) + 3_600_000);
  const seconds = Math.max(0, last - first) / 1000;
  return AUTO_SECONDS.find((size) => seconds / size + 1 <= BUCKETS_MAX) ?? AUTO_SECONDS.at(-1)!;
}

interface Buckets {
  sensorId: number;
  seconds: number;
  from: Date | null;
  to: Date | null;
  order: "asc" | "desc";
}

async function buckets(pool: pg.Pool, series: "raw" | "corrected", asked: Buckets) {
  const ofHours = asked.seconds % 3600 === 0;
  if (series === "raw") return fromRollup(pool, ofHours ? "readings_per_hour" : "readings_per_minute", asked);
  return ofHours ? fromRollup(pool, "corrected_per_hour", asked) : fromCorrected(pool, asked);
}

const fromRollup = (pool: pg.Pool, table: string, asked: Buckets) =>
  queryBuckets(
    pool,
    table,
    "bucket",
    "min(min) as min, max(max) as max, (sum(sum) / sum(count))::float8 as mean, sum(count)::int as count",
    asked,
  );

/** Buckets of minutes are of some days at most. */
const fromCorrected = (pool: pg.Pool, asked: Buckets) =>
  queryBuckets(
    pool,
    "corrected_readings",
    "timestamp",
    "min(corrected_value) as min, max(corrected_value) as max, avg(corrected_value) as mean, count(*)::int as count",
    asked,
  );

async function queryBuckets(
  pool: pg.Pool,
  table: string,
  at: "bucket" | "timestamp",
  columns: string,
  { sensorId, seconds, from, to, order }: Buckets,
) {
  const { rows } = await pool.query<{ timestamp: Date; min: number; max: number; mean: number; count: number }>(
    `select date_bin(make_interval(secs => $2), ${at}, 'epoch') as timestamp, ${columns}
       from ${table}
      where sensor_id = $1 and ($3::timestamptz is null or ${at} >= date_bin(make_interval(secs => $2), $3, 'epoch')) and ($4::timestamptz is null or ${at} < $4)
      group by 1 order by 1 ${order}`,
    [sensorId, seconds, from, to],
  );
  return rows.map((row) => ({ ...row, timestamp: row.timestamp.toISOString() }));
}

/** The hourly means of the last 24 hours, for so many rows of a list as are in sight. */
async function sparklines(pool: pg.Pool, ids: readonly number[], sites: string[] | null) {
  const { rows } = await pool.query<{ sensor_id: number; points: [number, number][] }>(
    `select r.sensor_id, json_agg(json_build_array((extract(epoch from r.bucket) * 1000)::float8, (r.sum / r.count)::float8) order by r.bucket) as points
       from readings_per_hour r join sensors s on s.id = r.sensor_id
      where r.sensor_id = any($1::bigint[]) and r.bucket > now() - interval '25 hours' and ($2::text[] is null or s.site = any($2))
      group by r.sensor_id`,
    [ids, sites],
  );
  return rows;
}

/** Its elements are judged one by one: a wrong one is told by its index, and the others are accepted. */
const PostedBody = Type.Unknown({
  description: `one {sensor_id, raw_value, timestamp?, quality?}, or an array of at most ${READINGS_PER_MESSAGE_MAX} of these, each with its timestamp`,
});

interface PostedReading {
  sensor_id?: unknown;
  raw_value?: unknown;
  timestamp?: unknown;
  quality?: unknown;
}

const isObject = (element: unknown): element is PostedReading =>
  typeof element === "object" && element !== null && !Array.isArray(element);

interface Accepted {
  site: string;
  key: string;
  body: { value: unknown; timestamp?: unknown; quality?: unknown };
}

interface Rejected {
  index: number;
  code: DeadReason;
  detail: string;
}

/** What ingest would say of each, said now: a rejected reading is told to whoever posted it, and goes no further. */
async function judge(
  { pool, retentionDays }: Pick<Parts, "pool" | "retentionDays">,
  elements: readonly unknown[],
  sites: string[] | null,
): Promise<{ accepted: Accepted[]; rejected: Rejected[] }> {
  const ids = [
    ...new Set(
      elements
        .map((element) => (isObject(element) ? element.sensor_id : null))
        .filter((id): id is number => Number.isInteger(id) && Math.abs(id as number) < 2 ** 31),
    ),
  ];
  const { rows } = await pool.query<{ id: number; site: string; key: string }>(
    "select id, site, key from sensors where id = any($1::int[])",
    [ids],
  );
  const sensors = new Map(rows.filter(({ site }) => maySee({ sites }, site)).map((row) => [row.id, row]));
  const now = Date.now();
  const accepted: Accepted[] = [];
  const rejected: Rejected[] = [];
  for (const [index, element] of elements.entries()) {
    const reject = (code: DeadReason, detail: string): void => void rejected.push({ index, code, detail });
    if (!isObject(element)) {
      reject("invalid_reading", "a reading is a JSON object");
      continue;
    }
    const { sensor_id: id, raw_value: value, timestamp, quality } = element;
    if (!Number.isInteger(id)) {
      reject("invalid_reading", "sensor_id must be an integer");
      continue;
    }
    const sensor = sensors.get(id as number);
    if (sensor === undefined) {
      reject("unknown_sensor", `there is no sensor ${String(id)}`);
      continue;
    }
    if ((timestamp === undefined || timestamp === null) && elements.length > 1) {
      reject("invalid_reading", "timestamp is required in an array of several");
      continue;
    }
    // As JSON it would become null, and the reading one that has no time of its own.
    if (typeof timestamp === "number" && !Number.isFinite(timestamp)) {
      reject("invalid_reading", "timestamp is not a finite number");
      continue;
    }
    const body = {
      value,
      ...(timestamp === undefined ? {} : { timestamp }),
      ...(quality === undefined ? {} : { quality }),
    };
    const [refusal] = refuseTooOld(parseMessage(Buffer.from(JSON.stringify(body)), now), now, retentionDays).refusals;
    if (refusal === undefined) accepted.push({ site: sensor.site, key: sensor.key, body });
    else reject(refusal.reason, refusal.detail);
  }
  return { accepted, rejected };
}

async function publish({ bus, log }: Parts, accepted: readonly Accepted[], traceparent: string | null): Promise<void> {
  const bySubject = Map.groupBy(accepted, ({ site, key }) => subjects.reading(site, key));
  const messages = [...bySubject].flatMap(([subject, readings]) =>
    Array.from({ length: Math.ceil(readings.length / READINGS_PER_PUBLISH) }, (_, n) => {
      const part = readings.slice(n * READINGS_PER_PUBLISH, (n + 1) * READINGS_PER_PUBLISH).map(({ body }) => body);
      return { subject, payload: JSON.stringify(part.length === 1 ? part[0] : part) };
    }),
  );
  try {
    await Promise.all(
      messages.map(({ subject, payload }) =>
        bus.jetstream.publish(subject, payload, { timeout: ACKNOWLEDGED_MS_MAX, ...traceHeaders(traceparent) }),
      ),
    );
  } catch (error) {
    log.warn({ error }, "posted readings were not acknowledged");
    throw new Problem(
      "unavailable",
      "not all readings were acknowledged; sending the same dated body again is safe",
      {},
      { cause: error },
    );
  }
}
