import type { AnomalyBody } from "@calibration/shared/anomaly.ts";
import { partitionOf, subjects } from "@calibration/shared/topology.ts";
import type { FastifyInstance } from "fastify";
import { setTimeout as pause } from "node:timers/promises";
import { Type } from "typebox";
import type { Identity } from "../auth.ts";
import { readBound } from "../instants.ts";
import { listPage, pageQuery } from "../paging.ts";
import { invalid, Problem } from "../problem.ts";
import {
  Anomaly,
  AnomaliesResolved,
  AnomaliesToResolve,
  AnomalyChange,
  anomalyFilter,
  IdParams,
  listOf,
} from "../schemas.ts";
import { typed, type Parts } from "../server.ts";

type AnomalyRow = Omit<AnomalyBody, "timestamp" | "last_seen" | "resolved_at"> & {
  timestamp: Date;
  last_seen: Date;
  resolved_at: Date | null;
  site: string;
  key: string;
};

const anomalyBody = ({ site: _site, key: _key, ...row }: AnomalyRow): AnomalyBody => ({
  ...row,
  timestamp: row.timestamp.toISOString(),
  last_seen: row.last_seen.toISOString(),
  resolved_at: row.resolved_at?.toISOString() ?? null,
});

const COLUMNS = "a.*, s.site, s.key";
const FROM = "anomalies a join sensors s on s.id = a.sensor_id";
/** The anomaly service, which alone closes episodes, has so long to do it. */
const RESOLUTION_MS_MAX = 8_000;
const LOOK_AGAIN_MS = 50;

export function anomalyRoutes(scope: FastifyInstance, { pool, bus, partitions }: Parts): void {
  const app = typed(scope);
  const findAll = async (ids: readonly number[], { sites }: Identity): Promise<AnomalyRow[]> => {
    const { rows } = await pool.query<AnomalyRow>(
      `select ${COLUMNS} from ${FROM} where a.id = any($1) and ($2::text[] is null or s.site = any($2))`,
      [ids, sites],
    );
    const missing = ids.find((id) => !rows.some((row) => row.id === id));
    if (missing !== undefined) throw new Problem("not_found", `there is no anomaly ${missing}`);
    return rows;
  };
  const find = async (id: number, identity: Identity): Promise<AnomalyRow> => (await findAll([id], identity))[0]!;

  /** Asks the anomaly service to resolve them, and waits a while; answers all as they then are. */
  const resolve = async (
    anomalies: readonly AnomalyRow[],
    note: string | null,
    identity: Identity,
  ): Promise<{ done: AnomalyRow[]; pending: AnomalyRow[] }> => {
    const isDone = (row: AnomalyRow) => row.resolved && (note === null || note === row.note);
    await Promise.all(
      anomalies
        .filter((anomaly) => !isDone(anomaly))
        .map(({ id, sensor_id, site, key, timestamp }) =>
          bus.jetstream.publish(
            subjects.resolution(partitionOf(site, key, partitions), id),
            JSON.stringify({ sensor_id, site, key, started_at: timestamp.toISOString(), note }),
          ),
        ),
    ).catch((error: unknown) => {
      throw new Problem("unavailable", "NATS is away; try again", {}, { cause: error });
    });
    const ids = anomalies.map(({ id }) => id);
    let now = await findAll(ids, identity);
    for (const until = Date.now() + RESOLUTION_MS_MAX; Date.now() < until && !now.every(isDone);) {
      await pause(LOOK_AGAIN_MS);
      now = await findAll(ids, identity);
    }
    return { done: now.filter(isDone), pending: now.filter((row) => !isDone(row)) };
  };

  app.get(
    "/api/anomalies",
    {
      config: { access: "read" },
      schema: { querystring: Type.Object({ ...pageQuery, ...anomalyFilter }), response: { 200: listOf(Anomaly) } },
    },
    ({ query, identity }) =>
      listPage<AnomalyRow, AnomalyBody>(pool, query, {
        columns: COLUMNS,
        from: FROM,
        where: [
          ["s.site = any($)", identity.sites],
          ["a.sensor_id = $", query.sensor_id],
          ["a.type = $", query.type],
          ["a.severity = $", query.severity],
          ["a.method = $", query.method],
          ["a.resolved = $", query.resolved],
          ["a.alarm = $", query.alarm],
          ["a.timestamp >= $", readBound("/from", query.from)],
          ["a.timestamp < $", readBound("/to", query.to)],
        ],
        key: [
          ["a.timestamp", "timestamptz"],
          ["a.id", "bigint"],
        ],
        keyOf: (row) => [row.timestamp.toISOString(), row.id],
        body: anomalyBody,
      }),
  );

  app.get(
    "/api/anomalies/:id",
    { config: { access: "read" }, schema: { params: IdParams, response: { 200: Anomaly } } },
    async ({ params, identity }) => anomalyBody(await find(params.id, identity)),
  );

  app.patch(
    "/api/anomalies/:id",
    { config: { access: "operate" }, schema: { params: IdParams, body: AnomalyChange, response: { 200: Anomaly } } },
    async ({ params, body, identity }) => {
      const anomaly = await find(params.id, identity);
      if (body.resolved === false && anomaly.resolved)
        throw new Problem("conflict", "an episode that is over does not begin again; the next one will be its own");
      if (body.resolved !== true)
        throw invalid("/resolved", 'an anomaly can be resolved: send {"resolved": true}, with a note if you like');
      const { done } = await resolve([anomaly], body.note ?? null, identity);
      if (done[0] !== undefined) return anomalyBody(done[0]);
      throw new Problem("unavailable", "the anomaly service has not answered yet; the resolution is on its way");
    },
  );

  app.post(
    "/api/anomalies/resolve",
    {
      config: { access: "operate" },
      schema: { body: AnomaliesToResolve, response: { 200: AnomaliesResolved } },
    },
    async ({ body, identity }) => {
      const { done, pending } = await resolve(await findAll(body.ids, identity), body.note ?? null, identity);
      return { resolved: done.map(({ id }) => id), pending: pending.map(({ id }) => id) };
    },
  );
}
