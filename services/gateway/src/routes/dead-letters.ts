import { inTransaction } from "@calibration/shared/database.ts";
import { DEAD_REASONS } from "@calibration/shared/reading.ts";
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Identity, Role } from "../auth.ts";
import { listPage, pageQuery } from "../paging.ts";
import { invalid, Problem } from "../problem.ts";
import { oneOf } from "../schemas.ts";
import { typed, type Parts } from "../server.ts";

/** Replayed at once; the rest with the next request. */
const REPLAY_MAX = 10_000;
/** So much of a payload is shown. */
const PAYLOAD_BYTES_SHOWN = 64 * 1024;
const GROUPS_MAX = 1000;

interface DeadLetterRow {
  id: number;
  subject: string;
  site: string | null;
  key: string | null;
  reason: string;
  detail: string;
  payload: Buffer;
  bytes: number;
  stream_sequence: number;
  received_at: Date;
  replayed_at: Date | null;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A payload may hold anything; what of it is worth showing is for those who may also replay it. */
const mayReadPayload = (role: Role): boolean => role !== "viewer";

function deadLetterBody(row: DeadLetterRow, showsPayload: boolean) {
  const { bytes, payload, ...rest } = row;
  const shown = showsPayload ? textOf(payload) : { payload: null };
  return {
    ...rest,
    received_at: row.received_at.toISOString(),
    replayed_at: row.replayed_at?.toISOString() ?? null,
    ...shown,
    payload_truncated: bytes > PAYLOAD_BYTES_SHOWN,
  };
}

function textOf(payload: Buffer): { payload: string; payload_encoding?: "base64" } {
  try {
    return { payload: utf8.decode(payload) };
  } catch {
    return { payload: payload.toString("base64"), payload_encoding: "base64" };
  }
}

export function deadLetterRoutes(scope: FastifyInstance, { pool, bus }: Parts): void {
  const app = typed(scope);
  const Query = Type.Object({
    ...pageQuery,
    reason: Type.Optional(oneOf(DEAD_REASONS)),
    site: Type.Optional(Type.String()),
    key: Type.Optional(Type.String()),
    group: Type.Optional(Type.Literal("sensor")),
  });

  app.get(
    "/api/dead-letters",
    { config: { access: "read" }, schema: { querystring: Query } },
    async ({ query, identity }) => {
      if (query.group === "sensor") return grouped(identity, query);
      return listPage<DeadLetterRow, ReturnType<typeof deadLetterBody>>(pool, query, {
        columns: `id, subject, site, key, reason, detail, substr(payload, 1, ${PAYLOAD_BYTES_SHOWN}) as payload, length(payload) as bytes, stream_sequence, received_at, replayed_at`,
        from: "dead_letters",
        where: [
          ["site = any($)", identity.sites],
          ["reason = $", query.reason],
          ["site = $", query.site],
          ["key = $", query.key],
        ],
        key: [["id", "bigint"]],
        keyOf: (row) => [row.id],
        body: (row) => deadLetterBody(row, mayReadPayload(identity.role)),
      });
    },
  );

  async function grouped({ sites, role }: Identity, asked: { reason?: string; site?: string; key?: string }) {
    const { rows } = await pool.query<{
      site: string | null;
      key: string | null;
      count: number;
      last: Date;
      payload: Buffer;
    }>(
      `select site, key, count(*)::int as count, max(received_at) as last, (array_agg(substr(payload, 1, 1000) order by id desc))[1] as payload
         from dead_letters where replayed_at is null and ($1::text[] is null or site = any($1)) and ($2::text is null or reason = $2)
          and ($3::text is null or site = $3) and ($4::text is null or key = $4)
        group by site, key order by last desc limit ${GROUPS_MAX}`,
      [sites, asked.reason ?? null, asked.site ?? null, asked.key ?? null],
    );
    const results = rows.map(({ payload, last, ...row }) => ({
      ...row,
      last_value: mayReadPayload(role) ? valueOf(payload) : null,
      last_at: last.toISOString(),
    }));
    return { count: results.length, next: null, results };
  }

  const Body = Type.Object(
    {
      ids: Type.Optional(Type.Array(Type.Integer(), { minItems: 1, maxItems: REPLAY_MAX })),
      reason: Type.Optional(oneOf(DEAD_REASONS)),
      site: Type.Optional(Type.String()),
      key: Type.Optional(Type.String()),
    },
    { additionalProperties: false },
  );
  app.post(
    "/api/dead-letters/replay",
    { config: { access: "operate" }, schema: { body: Body } },
    async ({ body, identity }) => {
      if (Object.keys(body).length === 0) throw invalid("/", "say which: ids, or a reason, a site, a key");
      const replayed = await inTransaction(pool, async (client) => {
        const { rows } = await client.query<{ id: number; subject: string; payload: Buffer; received_at: Date }>(
          `update dead_letters set replayed_at = now() where id in (
           select id from dead_letters where replayed_at is null and site is not null and key is not null and ($1::text[] is null or site = any($1)) and ($2::bigint[] is null or id = any($2))
             and ($3::text is null or reason = $3) and ($4::text is null or site = $4) and ($5::text is null or key = $5) order by id limit ${REPLAY_MAX} for update skip locked)
         returning id, subject, payload, received_at`,
          [identity.sites, body.ids ?? null, body.reason ?? null, body.site ?? null, body.key ?? null],
        );
        await Promise.all(
          rows.map(({ id, subject, payload, received_at: at }) =>
            bus.jetstream.publish(subject, dated(payload, at), { msgID: `replay-${id}` }),
          ),
        ).catch((error: unknown) => {
          throw new Problem(
            "unavailable",
            "NATS is away; nothing was replayed, or it will be recognised as a repeat",
            {},
            { cause: error },
          );
        });
        return rows.length;
      });
      return { replayed };
    },
  );
}

/** A reading without a time, single or alone in its array, was measured when it came first, not when it is replayed. */
function dated(payload: Buffer, receivedAt: Date): Uint8Array | string {
  try {
    const body: unknown = JSON.parse(payload.toString());
    const alone: unknown = Array.isArray(body) && body.length === 1 ? body[0] : body;
    if (typeof alone !== "object" || alone === null || Array.isArray(alone)) return payload;
    if ("timestamp" in alone && alone.timestamp !== null) return payload;
    return JSON.stringify({ ...alone, timestamp: receivedAt.toISOString() });
  } catch {
    return payload;
  }
}

function valueOf(payload: Buffer): unknown {
  try {
    const body = JSON.parse(payload.toString()) as unknown;
    const last: unknown = Array.isArray(body) ? body.at(-1) : body;
    return (last as { value?: unknown } | null)?.value ?? null;
  } catch {
    return null;
  }
}
