import { READINGS_BEFORE_CALIBRATION, type CalibrationMethod } from "@calibration/shared/calibration.ts";
import { FACT_LEAD_MS } from "@calibration/shared/facts.ts";
import { validateCalibrationParams } from "@calibration/models/correction.ts";
import type { FastifyInstance } from "fastify";
import { setTimeout as pause } from "node:timers/promises";
import { Type } from "typebox";
import { readInstant } from "../instants.ts";
import { listPage, pageQuery } from "../paging.ts";
import { invalid } from "../problem.ts";
import { Calibration, CalibrationToCreate, listOf } from "../schemas.ts";
import { findSensor } from "../sensors.ts";
import { typed, type Parts } from "../server.ts";

interface CalibrationRow {
  id: number;
  sensor_id: number;
  method: CalibrationMethod;
  params: unknown;
  corrected_value: number;
  applied_at: Date;
  raw_value: number | null;
}

const calibrationBody = (row: CalibrationRow) => ({
  id: row.id,
  sensor_id: row.sensor_id,
  method: row.method,
  params: row.params,
  raw_value: row.raw_value,
  corrected_value: row.corrected_value,
  applied_at: row.applied_at.toISOString(),
});

/** `raw_value` is looked up when it is asked for: readings from before a calibration may come in after it. */
const COLUMNS = "c.id, c.sensor_id, c.method, c.params, c.corrected_value, c.applied_at, before.raw_value";
const FROM = "calibrations c join sensors s on s.id = c.sensor_id";
const WITH_RAW_VALUE = `
    left join lateral (
      select avg(raw_value::numeric)::float8 as raw_value from (
        select raw_value from readings r where r.sensor_id = c.sensor_id and r.timestamp < c.applied_at and r.quality = 0
         order by r.timestamp desc limit ${READINGS_BEFORE_CALIBRATION}) as last) before on true`;

export function calibrationRoutes(scope: FastifyInstance, { pool }: Parts): void {
  const app = typed(scope);

  app.get(
    "/api/calibrations",
    {
      config: { access: "read" },
      schema: {
        querystring: Type.Object({ ...pageQuery, sensor_id: Type.Optional(Type.Integer()) }),
        response: { 200: listOf(Calibration) },
      },
    },
    ({ query, identity }) =>
      listPage<CalibrationRow, ReturnType<typeof calibrationBody>>(pool, query, {
        columns: COLUMNS,
        from: FROM,
        joins: WITH_RAW_VALUE,
        where: [
          ["c.sensor_id = $", query.sensor_id],
          ["s.site = any($)", identity.sites],
        ],
        key: [
          ["c.applied_at", "timestamptz"],
          ["c.id", "bigint"],
        ],
        keyOf: (row) => [row.applied_at.toISOString(), row.id],
        body: calibrationBody,
      }),
  );

  app.post(
    "/api/calibrations",
    { config: { access: "operate" }, schema: { body: CalibrationToCreate, response: { 201: Calibration } } },
    async ({ body, identity }, reply) => {
      const sensor = await findSensor(pool, body.sensor_id, identity);
      const method = body.method ?? "linear";
      const params = body.params ?? null;
      const wrong = params === null ? null : validateCalibrationParams(method, params);
      if (wrong !== null) throw invalid("/params", wrong);
      const appliedAt = body.applied_at === undefined ? new Date() : readInstant("/applied_at", body.applied_at);
      const { rows } = await pool.query<{ id: number }>(
        `insert into calibrations (sensor_id, method, params, corrected_value, applied_at, valid_from)
       values ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6 / 1000.0)) returning id`,
        [
          sensor.id,
          method,
          params === null ? null : JSON.stringify(params),
          body.corrected_value,
          appliedAt,
          FACT_LEAD_MS,
        ],
      );
      await pause(FACT_LEAD_MS);
      const kept = await pool.query<CalibrationRow>(
        `select ${COLUMNS} from ${FROM} ${WITH_RAW_VALUE} where c.id = $1`,
        [rows[0]!.id],
      );
      return reply.status(201).send(calibrationBody(kept.rows[0]!));
    },
  );
}
