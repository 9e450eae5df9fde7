import type { Telling } from "@calibration/shared/bus.ts";
import { instants, ints } from "@calibration/shared/columns.ts";
import type { AnomalyBody } from "@calibration/shared/anomaly.ts";
import type { Batch } from "@calibration/shared/hear.ts";
import { subjects } from "@calibration/shared/topology.ts";
import type pg from "pg";
import type { Pool } from "pg";
import type { Attention, Change } from "./core/attend.ts";
import type { Episode } from "./core/episode.ts";
import { decodeMemory, encodeMemory, type Memory } from "./core/memory.ts";

type Queryable = Pick<Pool, "query">;

/** What a batch came to for one sensor. */
export interface AttendedSensor {
  sensorId: number;
  site: string;
  key: string;
  attention: Attention;
  changes: (Change & { sequence: number; traceparent: string | null })[];
  lookMs: number | null;
  /** Null where it is as it was. */
  learning: { stage: string; readings: number; of: number } | null;
  intervalS: number | null;
  alarmsSeen: { days: number; alarms: number[] } | null;
}

export async function findAttentions(pool: Queryable, sensorIds: readonly number[]): Promise<Map<number, Attention>> {
  const found = await pool.query<{ sensor_id: number; body: Attention }>(
    "select sensor_id, body from anomaly_state where sensor_id = any($1::int[])",
    [sensorIds],
  );
  return new Map(found.rows.map((row) => [row.sensor_id, row.body]));
}

/** Of the memories, so many are read at once: about 8 MB. */
const MEMORIES_AT_ONCE = 100;

export async function findMemories(
  pool: Queryable,
  sensorIds: readonly number[],
): Promise<Map<number, { memory: Memory; position: number }>> {
  const memories = new Map<number, { memory: Memory; position: number }>();
  for (let start = 0; start < sensorIds.length; start += MEMORIES_AT_ONCE) {
    const found = await pool.query<{ sensor_id: number; position: number; body: Buffer }>(
      "select sensor_id, position, body from novelty_snapshots where sensor_id = any($1::int[])",
      [sensorIds.slice(start, start + MEMORIES_AT_ONCE)],
    );
    for (const { sensor_id: id, position, body } of found.rows)
      memories.set(id, { memory: decodeMemory(body), position });
  }
  return memories;
}

/** The sensors of a partition whose silence may have become a gap by then, or a worse one. */
export async function findOverdue(
  pool: Queryable,
  partition: number,
  byMs: number,
): Promise<Map<number, { site: string; key: string }>> {
  const found = await pool.query<{ sensor_id: number; site: string; key: string }>(
    `select s.sensor_id, n.site, n.key from anomaly_state s join sensors n on n.id = s.sensor_id
      where s.partition = $1 and s.gap_due_at <= to_timestamp($2 / 1000.0) order by s.sensor_id`,
    [partition, byMs],
  );
  return new Map(found.rows.map((row) => [row.sensor_id, { site: row.site, key: row.key }]));
}

const instant = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

const ANOMALY_COLUMNS = {
  sensor_id: "int",
  timestamp: "timestamptz",
  last_seen: "timestamptz",
  type: "text",
  value: "float8",
  expected: "float8",
  deviation: "float8",
  severity: "text",
  resolved: "bool",
  resolved_by: "text",
  resolved_at: "timestamptz",
  count: "int",
  score: "float8",
  method: "text",
  model_version: "int",
  alarm: "bool",
  explanation: "jsonb",
  note: "text",
};
const COLUMN_NAMES = Object.keys(ANOMALY_COLUMNS);
const NATURAL_KEY = ["sensor_id", "timestamp"];

const KEEP_ANOMALIES = `
  insert into anomalies (${COLUMN_NAMES.join(", ")})
  select * from unnest(${Object.values(ANOMALY_COLUMNS)
    .map((type, i) => `$${i + 1}::${type}[]`)
    .join(", ")})
  on conflict (${NATURAL_KEY.join(", ")}) do update set ${COLUMN_NAMES.filter((name) => !NATURAL_KEY.includes(name))
    .map((name) => `${name} = ${name === "note" ? "coalesce(excluded.note, anomalies.note)" : `excluded.${name}`}`)
    .join(", ")}
  returning id, sensor_id, (extract(epoch from timestamp) * 1000)::float8 as started_ms`;

/** Writes what changed; returns the ids of the anomalies, by sensor and beginning. */
export async function keepAttended(
  transaction: pg.PoolClient,
  sensors: readonly (AttendedSensor & { partition: number })[],
): Promise<Map<string, number>> {
  if (sensors.length === 0) return new Map();
  const rows = sensors.toSorted((a, b) => a.sensorId - b.sensorId);
  const heard = rows.filter((row) => row.learning !== null);
  // Sent one behind the other; the connection carries them out in turn.
  const [, , ids] = await Promise.all([
    transaction.query({
      name: "keep-attention",
      text: `insert into anomaly_state (sensor_id, partition, body, gap_due_at)
        select * from unnest($1::int[], $2::int[], $3::jsonb[], $4::timestamptz[])
        on conflict (sensor_id) do update set partition = excluded.partition, body = excluded.body, gap_due_at = excluded.gap_due_at`,
      values: [
        ints(rows.map((row) => row.sensorId)),
        ints(rows.map((row) => row.partition)),
        rows.map((row) => JSON.stringify(row.attention)),
        instants(rows.map((row) => row.lookMs)),
      ],
    }),
    heard.length === 0 ? null : keepLearning(transaction, heard),
    keepEpisodes(transaction, rows),
  ]);
  return ids;
}

/** Learning ends, intervals settle, and days and alarms are few: this is mostly nothing. */
async function keepLearning(transaction: pg.PoolClient, heard: readonly AttendedSensor[]): Promise<void> {
  await transaction.query({
    name: "keep-status",
    text: `insert into sensor_status as s (sensor_id, learning, learnt_interval_s, alarms_seen)
      select s, l, i, a from unnest($1::int[], $2::jsonb[], $3::float8[], $4::jsonb[]) as u(s, l, i, a)
      on conflict (sensor_id) do update set learning = excluded.learning, learnt_interval_s = excluded.learnt_interval_s,
         alarms_seen = excluded.alarms_seen
       where (s.learning, s.learnt_interval_s, s.alarms_seen)
         is distinct from (excluded.learning, excluded.learnt_interval_s, excluded.alarms_seen)`,
    values: [
      heard.map((row) => row.sensorId),
      heard.map((row) => JSON.stringify(row.learning)),
      heard.map((row) => row.intervalS),
      heard.map((row) => JSON.stringify(row.alarmsSeen)),
    ],
  });
}

async function keepEpisodes(
  transaction: pg.PoolClient,
  sensors: readonly AttendedSensor[],
): Promise<Map<string, number>> {
  const kept: unknown[][] = [];
  for (const { sensorId, changes, attention } of sensors) {
    // What stands at the end of the batch: the last of each episode that changed, and the one that is still open.
    const episodes = new Map<number, Episode>(changes.map(({ episode }) => [episode.startedMs, episode]));
    if (attention.episode !== null) episodes.set(attention.episode.startedMs, attention.episode);
    for (const episode of episodes.values()) kept.push(anomalyColumns(sensorId, episode));
  }
  if (kept.length === 0) return new Map();
  const { rows } = await transaction.query<{ id: number; sensor_id: number; started_ms: number }>({
    name: "keep-anomalies",
    text: KEEP_ANOMALIES,
    values: COLUMN_NAMES.map((_, column) => kept.map((row) => row[column])),
  });
  return new Map(rows.map((row) => [`${row.sensor_id} ${Math.round(row.started_ms)}`, row.id]));
}

const anomalyColumns = (sensorId: number, episode: Episode): unknown[] => [
  sensorId,
  instant(episode.startedMs),
  instant(episode.lastSeenMs),
  episode.type,
  episode.value,
  episode.expected,
  episode.deviation,
  episode.severity,
  episode.resolved,
  episode.resolvedBy,
  instant(episode.resolvedMs),
  episode.count,
  episode.score,
  episode.method,
  episode.modelVersion,
  episode.alarm,
  JSON.stringify(episode.explanation),
  episode.note,
];

/** One message for each change, in the order of the log. */
export function anomalyTellings(
  sensors: readonly AttendedSensor[],
  ids: ReadonlyMap<string, number>,
  streamCreated: string,
): Telling[] {
  return sensors.flatMap(({ sensorId, site, key, changes }) =>
    changes.map(({ event, episode, sequence, traceparent }) => ({
      subject: subjects.anomalyEvent(site, key),
      id: `anomaly-${streamCreated}-${sensorId}-${episode.startedMs}-${sequence}-${event}`,
      traceparent,
      body: JSON.stringify({
        event,
        ...anomalyBody(ids.get(`${sensorId} ${episode.startedMs}`)!, sensorId, episode),
        ...(traceparent === null ? {} : { traceparent }),
      }),
    })),
  );
}

const anomalyBody = (id: number, sensorId: number, episode: Episode): AnomalyBody => ({
  id,
  sensor_id: sensorId,
  type: episode.type,
  value: episode.value,
  expected: episode.expected,
  deviation: episode.deviation,
  severity: episode.severity,
  resolved: episode.resolved,
  resolved_by: episode.resolvedBy,
  resolved_at: instant(episode.resolvedMs),
  timestamp: instant(episode.startedMs)!,
  last_seen: instant(episode.lastSeenMs)!,
  count: episode.count,
  score: episode.score,
  method: episode.method,
  model_version: episode.modelVersion,
  alarm: episode.alarm,
  explanation: episode.explanation,
  note: episode.note,
});

/** A person's word on an episode that is over already: only the note can still change. */
export async function resolveKept(
  transaction: pg.PoolClient,
  resolutions: readonly { sensor_id: number; started_at: string; note: string | null }[],
  batch: Batch,
): Promise<void> {
  for (const { sensor_id: sensorId, started_at: startedAt, note } of resolutions) {
    await transaction.query(
      `update anomalies set note = coalesce($3, note), resolved = true, resolved_by = coalesce(resolved_by, 'person'),
         resolved_at = coalesce(resolved_at, $4) where sensor_id = $1 and timestamp = $2`,
      [sensorId, startedAt, note, new Date(batch.messages.at(-1)!.storedMs)],
    );
  }
}

/** Of a snapshot, this much goes into one statement. */
const MEMORIES_BYTES_MAX = 8 * 1024 ** 2;

export async function keepMemories(
  transaction: pg.PoolClient,
  partition: number,
  position: number,
  memories: readonly { sensorId: number; memory: Memory }[],
): Promise<void> {
  let [sensorIds, bodies, bytes]: [number[], Buffer[], number] = [[], [], 0];
  for (const [index, { sensorId, memory }] of memories.entries()) {
    const body = encodeMemory(memory);
    sensorIds.push(sensorId);
    bodies.push(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    bytes += body.byteLength;
    if (bytes < MEMORIES_BYTES_MAX && index < memories.length - 1) continue;
    await transaction.query({
      name: "keep-memories",
      text: `insert into novelty_snapshots (sensor_id, partition, position, body)
        select s, $2, $3, b from unnest($1::int[], $4::bytea[]) as u(s, b)
        on conflict (sensor_id) do update set partition = excluded.partition, position = excluded.position, body = excluded.body`,
      values: [sensorIds, partition, position, bodies],
    });
    [sensorIds, bodies, bytes] = [[], [], 0];
  }
}
