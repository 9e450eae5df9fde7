/** Whether everything keeps up: who is there, how far behind, how fast, and what could not be used. */
import { streams } from "@calibration/shared/topology.ts";
import type { FastifyInstance } from "fastify";
import { setInterval } from "node:timers";
import type pg from "pg";
import type { Static } from "typebox";
import { createLag, STREAM_SERVICES, type Lag } from "../lag.ts";
import { System } from "../schemas.ts";
import { typed, type Parts } from "../server.ts";

const SERVICES = [...STREAM_SERVICES, "trainer", "gateway"];
/** The speed is what was passed since the oldest look of the last minute; nobody looks while nobody asks. */
const LOOK_MS = 5_000;
const LOOKS_MAX = 12;
const ASKED_MS = 60_000;

interface Look {
  atMs: number;
  lag: Lag;
  rows: readonly {
    service: string;
    partition: number;
    kept: number;
    attempts: number;
    counters: Record<string, number> | null;
  }[];
}

export function systemRoutes(scope: FastifyInstance, { pool, bus, replicas, log }: Parts): void {
  const findLag = createLag(bus, pool);
  let looks: Look[] = [];
  let askedMs = 0;
  const look = async (): Promise<Look> => {
    const { rows } = await pool.query<Look["rows"][number]>(
      "select service, partition, kept, attempts, counters from stream_positions order by service, partition",
    );
    const now = { atMs: performance.now(), lag: await findLag(), rows };
    looks = [...looks, now].slice(-LOOKS_MAX);
    return now;
  };
  const timer = setInterval(() => {
    if (performance.now() - askedMs < ASKED_MS)
      look().catch((error: unknown) => log.warn({ error }, "positions could not be looked at"));
  }, LOOK_MS);
  scope.addHook("onClose", async () => clearInterval(timer));

  typed(scope).get(
    "/api/system",
    { config: { access: "read" }, schema: { response: { 200: System } } },
    async ({ identity }): Promise<Static<typeof System>> => {
      // Whoever comes back after a while is not told the speed of the time between.
      if (performance.now() - askedMs > ASKED_MS) looks = [];
      askedMs = performance.now();
      const before = looks[0];
      const now = looks.at(-1) ?? (await look());
      const present = replicas();
      return {
        services: SERVICES.map((service) => ({
          service,
          replicas: present.filter((one) => one.service === service).map(({ replica }) => replica),
          ...standing(service, now, before),
        })),
        dead_letters: await countDeadLetters(pool, identity.sites),
        training: { ...(await trainingQueue()), failed_last_day: await countFailedRuns(pool, identity.sites) },
        streams: await storage(),
      };
    },
  );

  async function trainingQueue(): Promise<{ waiting: number | null; running: number | null }> {
    try {
      const consumers = await bus.manager.consumers.list(streams.training.name).next();
      const sum = (of: (one: (typeof consumers)[number]) => number) =>
        consumers.reduce((total, one) => total + of(one), 0);
      return { waiting: sum((one) => one.num_pending), running: sum((one) => one.num_ack_pending) };
    } catch {
      return { waiting: null, running: null };
    }
  }

  async function storage(): Promise<Static<typeof System>["streams"]> {
    const infos = await Promise.all(
      Object.values(streams).map(({ name }) => bus.manager.streams.info(name).catch(() => null)),
    );
    return infos
      .filter((info) => info !== null)
      .map(({ config, state }) => ({
        name: config.name,
        messages: state.messages,
        bytes: state.bytes,
        bytes_max: config.max_bytes > 0 ? config.max_bytes : null,
      }));
  }
}

/** Of one service: how far behind and how fast, over its partitions. */
function standing(service: string, now: Look, before: Look | undefined) {
  const own = now.rows.filter((row) => row.service === service);
  const counters: Record<string, number> = {};
  for (const row of own)
    for (const [what, count] of Object.entries(row.counters ?? {})) counters[what] = (counters[what] ?? 0) + count;
  const furthest = (look: Look): number =>
    Math.max(0, ...look.rows.filter((row) => row.service === service).map(({ kept }) => kept));
  const follows = STREAM_SERVICES.find((one) => one === service);
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
  return {
    lag: follows === undefined ? null : now.lag[follows],
    per_second:
      follows === undefined || before === undefined || seconds <= 0
        ? null
        : (furthest(now) - furthest(before)) / seconds,
    failing_partitions: own.filter(({ attempts }) => attempts > 1).length,
    counters,
  };
}

/** Not yet replayed, by reason. */
async function countDeadLetters(pool: pg.Pool, sites: string[] | null): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ reason: string; count: number }>(
    "select reason, count(*)::int as count from dead_letters where replayed_at is null and ($1::text[] is null or site = any($1)) group by 1 order by 1",
    [sites],
  );
  return Object.fromEntries(rows.map(({ reason, count }) => [reason, count]));
}

async function countFailedRuns(pool: pg.Pool, sites: string[] | null): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from training_runs r join sensors s on s.id = r.sensor_id
      where r.status = 'failed' and r.finished_at > now() - interval '1 day' and ($1::text[] is null or s.site = any($1))`,
    [sites],
  );
  return rows[0]!.count;
}
