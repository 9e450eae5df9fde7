import { MODEL_COLUMNS, MODEL_TYPES, modelBody, type ModelRow, type ModelType } from "@calibration/shared/model.ts";
import { FACT_LEAD_MS } from "@calibration/shared/facts.ts";
import { inTransaction } from "@calibration/shared/database.ts";
import { say } from "@calibration/shared/bus.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { requestTraining } from "@calibration/shared/training.ts";
import type { FastifyInstance } from "fastify";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { Type, type Static } from "typebox";
import type { Identity } from "../auth.ts";
import { listPage, pageQuery } from "../paging.ts";
import { Problem } from "../problem.ts";
import { IdParams, listOf, Model, oneOf, Promotion, TrainingAsked, TrainingRun } from "../schemas.ts";
import { findSensor } from "../sensors.ts";
import { typed, type Parts } from "../server.ts";

/** A request waits so long for its models; then it becomes a job. */
const WAIT_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 100;
/** Sensors of one job. */
const JOB_SENSORS_MAX = 100_000;

interface Run {
  sensor_id: number;
  model_type: ModelType;
  status: "trained" | "insufficient_data" | "failed";
  error: string | null;
  required: number | null;
  available: number | null;
  model_id: number | null;
}

type RunRow = Omit<Static<typeof TrainingRun>, "started_at" | "finished_at"> & { started_at: Date; finished_at: Date };

type PromotionRow = Omit<Static<typeof Promotion>, "promoted_at"> & { promoted_at: Date };

/** A name of letters that a header cannot carry is also said as RFC 6266 has it; older clients read the plain one. */
function fileNamed(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_.]/g, "_");
  return `attachment; filename="${plain}"${plain === name ? "" : `; filename*=UTF-8''${encodeURIComponent(name)}`}`;
}

export function trainingRoutes(scope: FastifyInstance, { pool, bus }: Parts): void {
  const app = typed(scope);
  const COLUMNS = MODEL_COLUMNS.split(",")
    .map((column) => `m.${column.trim()}`)
    .join(", ");

  app.post(
    "/api/model-training",
    {
      config: { access: "operate" },
      schema: { body: TrainingAsked, querystring: Type.Object({ async: Type.Optional(Type.Boolean()) }) },
    },
    async ({ body, query, identity }, reply) => {
      const types = body.model_type === undefined || body.model_type === "all" ? MODEL_TYPES : [body.model_type];
      const one = body.sensor_id === "all" ? null : await findSensor(pool, body.sensor_id, identity);
      const sensorIds = one === null ? await allSensors(identity) : [one.id];
      const jobId = randomUUID();
      const trigger = body.trigger ?? "request";
      await pool.query("insert into training_jobs (id, trigger, total, sites) values ($1, $2, $3, $4)", [
        jobId,
        trigger,
        sensorIds.length * types.length,
        one === null ? identity.sites : [one.site],
      ]);
      await requestTraining(
        bus,
        sensorIds.flatMap((sensorId) =>
          types.map((type) => ({ job_id: jobId, sensor_id: sensorId, model_type: type, trigger, due_because: null })),
        ),
      ).catch((error: unknown) => {
        throw new Problem("unavailable", "NATS is away; try again", {}, { cause: error });
      });
      if (body.sensor_id === "all" || query.async === true) return reply.status(202).send({ job_id: jobId });
      for (const until = Date.now() + WAIT_MS_MAX; Date.now() < until; await pause(LOOK_AGAIN_MS)) {
        const runs = await findRuns(jobId);
        if (runs.length === types.length) return answer(body.sensor_id, await resultsOf(runs), reply);
      }
      return reply.status(202).send({ job_id: jobId });
    },
  );

  app.get(
    "/api/model-training/jobs/:job",
    {
      config: { access: "read" },
      schema: {
        params: Type.Object({ job: Type.String({ description: "a UUID" }) }),
      },
    },
    async ({ params, identity }) => {
      const { rows } = await pool.query<{ total: number; trigger: string; created_at: Date }>(
        "select total, trigger, created_at from training_jobs where id::text = lower($1) and ($2::text[] is null or sites <@ $2)",
        [params.job, identity.sites],
      );
      const [job] = rows;
      if (job === undefined) throw new Problem("not_found", `there is no training job ${params.job}`);
      const runs = await findRuns(params.job.toLowerCase());
      const bySensor = [...Map.groupBy(runs, (run) => run.sensor_id)];
      const results = await Promise.all(
        bySensor.map(async ([sensorId, own]) => ({ sensor_id: sensorId, results: await resultsOf(own) })),
      );
      return {
        job_id: params.job,
        status: runs.length >= job.total ? "finished" : "running",
        trigger: job.trigger,
        created_at: job.created_at.toISOString(),
        done: runs.length,
        total: job.total,
        results,
      };
    },
  );

  const Query = Type.Object({
    ...pageQuery,
    sensor_id: Type.Optional(Type.Integer()),
    model_type: Type.Optional(oneOf(MODEL_TYPES)),
    current: Type.Optional(Type.Boolean()),
  });
  app.get(
    "/api/model-training",
    { config: { access: "read" }, schema: { querystring: Query, response: { 200: listOf(Model) } } },
    ({ query, identity }) =>
      listPage<ModelRow, ReturnType<typeof modelBody>>(pool, query, {
        columns: COLUMNS,
        from: "model_artifacts m join sensors s on s.id = m.sensor_id",
        where: [
          ["s.site = any($)", identity.sites],
          ["m.sensor_id = $", query.sensor_id],
          ["m.model_type = $", query.model_type],
          ["m.current = $", query.current],
        ],
        key: [["m.id", "bigint"]],
        keyOf: (row) => [row.id],
        body: modelBody,
      }),
  );

  app.get(
    "/api/model-training/promotions",
    {
      config: { access: "read" },
      schema: {
        querystring: Type.Object({
          ...pageQuery,
          sensor_id: Type.Optional(Type.Integer()),
          model_type: Type.Optional(oneOf(MODEL_TYPES)),
        }),
        response: { 200: listOf(Promotion) },
      },
    },
    ({ query, identity }) =>
      listPage<PromotionRow, Static<typeof Promotion>>(pool, query, {
        columns: "p.sensor_id, p.model_type, p.model_id, p.version, p.valid_from as promoted_at",
        from: "model_promotions p join sensors s on s.id = p.sensor_id",
        where: [
          ["s.site = any($)", identity.sites],
          ["p.sensor_id = $", query.sensor_id],
          ["p.model_type = $", query.model_type],
        ],
        key: [
          ["p.valid_from", "timestamptz"],
          ["p.sensor_id", "int"],
          ["p.model_type", "text"],
        ],
        keyOf: (row) => [row.promoted_at.toISOString(), row.sensor_id, row.model_type],
        body: (row) => ({ ...row, promoted_at: row.promoted_at.toISOString() }),
      }),
  );

  const RunsQuery = Type.Object({
    ...pageQuery,
    sensor_id: Type.Optional(Type.Integer()),
    status: Type.Optional(oneOf(["trained", "insufficient_data", "failed"] as const)),
  });
  app.get(
    "/api/model-training/runs",
    { config: { access: "read" }, schema: { querystring: RunsQuery, response: { 200: listOf(TrainingRun) } } },
    ({ query, identity }) =>
      listPage<RunRow, Static<typeof TrainingRun>>(pool, query, {
        columns:
          "r.id, r.job_id, r.sensor_id, r.model_type, r.trigger, r.due_because, r.status, r.error, r.required, r.available, r.model_id, r.started_at, r.finished_at",
        from: "training_runs r join sensors s on s.id = r.sensor_id",
        where: [
          ["s.site = any($)", identity.sites],
          ["r.sensor_id = $", query.sensor_id],
          ["r.status = $", query.status],
        ],
        key: [["r.id", "bigint"]],
        keyOf: (row) => [row.id],
        body: (row) => ({
          ...row,
          started_at: row.started_at.toISOString(),
          finished_at: row.finished_at.toISOString(),
        }),
      }),
  );

  app.get(
    "/api/model-training/:id",
    { config: { access: "read" }, schema: { params: IdParams } },
    async ({ params, identity }) => modelBody(await findModel(params.id, identity)),
  );

  app.get(
    "/api/model-training/:id/artifact",
    { config: { access: "read" }, schema: { params: IdParams } },
    async ({ params, identity }, reply) => {
      const model = await findModel(params.id, identity);
      const { rows } = await pool.query<{ artifact: Buffer }>("select artifact from model_artifacts where id = $1", [
        params.id,
      ]);
      return reply
        .type("application/octet-stream")
        .header("content-disposition", fileNamed(`${model.model_name}.bin`))
        .send(rows[0]!.artifact);
    },
  );

  app.post(
    "/api/model-training/:id/promote",
    { config: { access: "operate" }, schema: { params: IdParams } },
    async ({ params, identity }) => {
      const model = await findModel(params.id, identity);
      return putInForce(model, identity, "promoted", async () => model);
    },
  );

  /** Of the model in force: back to the one that was in force before it. Of an earlier one: back to that one. */
  app.post(
    "/api/model-training/:id/rollback",
    { config: { access: "operate" }, schema: { params: IdParams } },
    async ({ params, identity }) => {
      const asked = await findModel(params.id, identity);
      return putInForce(asked, identity, "rolled_back", async (client) => {
        const { rows } = await client.query<{ id: number; version: number }>(
          `select m.id, m.version
             from model_artifacts m
             join (select model_id, max(valid_from) as last from model_promotions where sensor_id = $1 and model_type = $2 group by model_id) p on p.model_id = m.id
            where case when (select current from model_artifacts where id = $3) then m.id <> $3 else m.id = $3 end
            order by p.last desc limit 1`,
          [asked.sensor_id, asked.model_type, asked.id],
        );
        if (rows[0] === undefined)
          throw new Problem(
            "conflict",
            asked.current
              ? `no other version was ever in force before model ${asked.id}`
              : `model ${asked.id} was never in force`,
          );
        return rows[0];
      });
    },
  );

  /** Puts another version of a sensor's model into force, unless it is: then nothing changes and nothing is told. */
  async function putInForce(
    { sensor_id: sensorId, model_type: type }: ModelRow,
    identity: Identity,
    why: "promoted" | "rolled_back",
    choose: (client: pg.PoolClient) => Promise<{ id: number; version: number }>,
  ) {
    const { chosen, before } = await inTransaction(pool, async (client) => {
      await client.query("select pg_advisory_xact_lock(hashtext($1), $2)", [`train ${type}`, sensorId]);
      const to = await choose(client);
      const current = await client.query<{ id: number; version: number }>(
        "select id, version from model_artifacts where sensor_id = $1 and model_type = $2 and current",
        [sensorId, type],
      );
      if (current.rows[0]?.id === to.id) return { chosen: to, before: null };
      await client.query("update model_artifacts set current = false where id = $1", [current.rows[0]?.id ?? null]);
      await client.query("update model_artifacts set current = true where id = $1", [to.id]);
      await client.query(
        "insert into model_promotions (sensor_id, model_type, valid_from, model_id, version) values ($1, $2, clock_timestamp() + make_interval(secs => $5 / 1000.0), $3, $4)",
        [sensorId, type, to.id, to.version, FACT_LEAD_MS],
      );
      return { chosen: to, before: current.rows[0]?.version ?? 0 };
    });
    const promoted = modelBody(await findModel(chosen.id, identity));
    if (before === null) return promoted;
    await pause(FACT_LEAD_MS);
    const event = before > chosen.version ? "rolled_back" : why;
    await say(bus, [
      {
        subject: subjects.modelEvent(type, sensorId),
        id: `model-${chosen.id}-${event}-${randomUUID()}`,
        body: JSON.stringify({ event, ...promoted }),
      },
    ]);
    return promoted;
  }

  async function findModel(id: number, { sites }: Identity): Promise<ModelRow> {
    const { rows } = await pool.query<ModelRow>(
      `select ${COLUMNS} from model_artifacts m join sensors s on s.id = m.sensor_id where m.id = $1 and ($2::text[] is null or s.site = any($2))`,
      [id, sites],
    );
    if (rows[0] === undefined) throw new Problem("not_found", `there is no model ${id}`);
    return rows[0];
  }

  async function allSensors({ sites }: Identity): Promise<number[]> {
    const { rows } = await pool.query<{ id: number }>(
      "select id from sensors where $1::text[] is null or site = any($1) order by id limit $2",
      [sites, JOB_SENSORS_MAX],
    );
    return rows.map(({ id }) => id);
  }

  /** A run is over once what it promoted counts: whoever publishes after the answer is judged by it. */
  async function findRuns(jobId: string): Promise<Run[]> {
    return (
      await pool.query<Run>(
        `select sensor_id, model_type, status, error, required, available, model_id from training_runs
          where job_id = $1 and finished_at <= clock_timestamp() - make_interval(secs => $2 / 1000.0)
          order by sensor_id, model_type`,
        [jobId, FACT_LEAD_MS],
      )
    ).rows;
  }

  async function resultsOf(
    runs: readonly Run[],
  ): Promise<Record<string, Record<string, unknown> & { status: Run["status"] }>> {
    const { rows } = await pool.query<ModelRow>(
      `select ${MODEL_COLUMNS} from model_artifacts where id = any($1::bigint[])`,
      [runs.flatMap(({ model_id: id }) => id ?? [])],
    );
    const models = new Map(rows.map((row) => [row.id, modelBody(row)]));
    return Object.fromEntries(
      runs.map((run) => [
        run.model_type,
        run.status === "trained"
          ? { status: run.status, model: models.get(run.model_id!) ?? null }
          : run.status === "failed"
            ? { status: run.status, error: run.error }
            : { status: run.status, error: run.error, required: run.required, available: run.available },
      ]),
    );
  }

  function answer(
    sensorId: number,
    results: Awaited<ReturnType<typeof resultsOf>>,
    reply: { status(code: number): { send(body: unknown): unknown } },
  ): unknown {
    const outcomes = Object.values(results);
    if (outcomes.some(({ status }) => status === "trained"))
      return reply.status(200).send({ sensor_id: sensorId, results });
    const details = outcomes.map(({ error }) => error).join("; ");
    const extra = { sensor_id: sensorId, results };
    throw outcomes.some(({ status }) => status === "failed")
      ? new Problem("training_failed", details, extra)
      : new Problem("insufficient_data", details, extra);
  }
}
