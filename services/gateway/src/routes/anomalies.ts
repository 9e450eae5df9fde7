import type { AnomalyBody } from "@calibration/shared/anomaly.ts";
import { partitionOf, subjects } from "@calibration/shared/topology.ts";
import type { FastifyInstance } from "fastify";
import { setTimeout as pause } from "node:timers/promises";
import { Type } from "typebox";
import type { Identity } from "../auth.ts";
import { readOptionalInstant } from "../instants.ts";
import { listPage, pageQuery } from "../paging.ts";
import { invalid, Problem } from "../problem.ts";
import { Anomaly, AnomalyChange, anomalyFilter, IdParams, listOf } from "../schemas.ts";
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
  const find = async (id: number, { sites }: Identity): Promise<AnomalyRow> => {
    const { rows } = await pool.query<AnomalyRow>(
      `select ${COLUMNS} from ${FROM} where a.id = $1 and ($2::text[] is null or s.site = any($2))`,
      [id, sites],
    );
    if (rows[0] === undefined) throw new Problem("not_found", `there is no anomaly ${id}`);
    return rows[0];
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
          ["a.timestamp >= $", readOptionalInstant("/from", query.from)],
          ["a.timestamp < $", readOptionalInstant("/to", query.to)],
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
      const note = body.note ?? null;
      if (anomaly.resolved && (note === null || note === anomaly.note)) return anomalyBody(anomaly);
      await bus.jetstream
        .publish(
          subjects.resolution(partitionOf(anomaly.site, anomaly.key, partitions), anomaly.id),
          JSON.stringify({
            sensor_id: anomaly.sensor_id,
            site: anomaly.site,
            key: anomaly.key,
            started_at: anomaly.timestamp.toISOString(),
            note,
          }),
        )
        .catch((error: unknown) => {
          throw new Problem("unavailable", "NATS is away; try again", {}, { cause: error });
        });
      for (const until = Date.now() + RESOLUTION_MS_MAX; Date.now() < until; await pause(LOOK_AGAIN_MS)) {
        const now = await find(params.id, identity);
        if (now.resolved && (note === null || now.note === note)) return anomalyBody(now);
      }
      throw new Problem("unavailable", "the anomaly service has not answered yet; the resolution is on its way");
    },
  );
}
