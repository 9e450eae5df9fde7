/** How far each service is behind the log: of its slowest partition, so that one that stands still shows. */
import { readingsStream, type Bus } from "@calibration/shared/bus.ts";
import { filedSubject, partitionOf, partitionSubjects, streams } from "@calibration/shared/topology.ts";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";

export const STREAM_SERVICES = ["ingest", "anomaly", "drift", "calibration"] as const;
export type Lag = Record<(typeof STREAM_SERVICES)[number], number | null>;

/** How long a deletion waits for services that are behind, and how often it looks. */
const PASSED_MS_MAX = 10_000;
const PASSED_LOOK_MS = 50;

/** Looking takes three questions a partition; whoever asks more often is answered from the last look. */
const SAME_MS = 1_000;

/**
 * Sequences of the log between a partition's newest message and the service's position in it, the most over the
 * partitions; null while NATS is away. A service that never heard a partition is behind from the stream's beginning.
 */
export function createLag(bus: Bus, pool: Pick<pg.Pool, "query">): () => Promise<Lag> {
  let last: { atMs: number; lag: Promise<Lag> } | null = null;
  return () => {
    if (last === null || performance.now() - last.atMs > SAME_MS)
      last = { atMs: performance.now(), lag: findLag(bus, pool) };
    return last.lag;
  };
}

async function findLag(bus: Bus, pool: Pick<pg.Pool, "query">): Promise<Lag> {
  const newest = await newestSequences(bus).catch(() => null);
  const { rows } = await pool.query<{ service: string; partition: number; kept: number }>(
    "select service, partition, kept from stream_positions where service = any($1)",
    [STREAM_SERVICES],
  );
  const positions = new Map(rows.map(({ service, partition, kept }) => [`${service} ${partition}`, kept]));
  const lagOf = (service: string): number | null =>
    newest === null
      ? null
      : Math.max(
          0,
          ...newest.map(({ first, last }, partition) =>
            last === 0 ? 0 : last - Math.max(positions.get(`${service} ${partition}`) ?? 0, first - 1),
          ),
        );
  return Object.fromEntries(STREAM_SERVICES.map((service) => [service, lagOf(service)])) as Lag;
}

/** Waits until the services that are there have passed what the log holds of a sensor by now; false where they have not in time. */
export async function untilPassed(
  bus: Bus,
  pool: Pick<pg.Pool, "query">,
  services: readonly string[],
  { site, key, partitions }: { site: string; key: string; partitions: number },
): Promise<boolean> {
  const partition = partitionOf(site, key, partitions);
  const last = await bus.manager.streams.getMessage(streams.readings.name, {
    last_by_subj: filedSubject(partition, site, key),
  });
  const behind = async (): Promise<boolean> => {
    const { rows } = await pool.query<{ service: string; kept: number }>(
      "select service, kept from stream_positions where service = any($1) and partition = $2",
      [services, partition],
    );
    return services.some((service) => (rows.find((row) => row.service === service)?.kept ?? 0) < last!.seq);
  };
  if (last === null) return true;
  for (const untilMs = performance.now() + PASSED_MS_MAX; await behind(); await pause(PASSED_LOOK_MS))
    if (performance.now() > untilMs) return false;
  return true;
}

/** Of each partition, 0 where it is empty; `first` is the stream's own. */
async function newestSequences(bus: Bus): Promise<{ first: number; last: number }[]> {
  const { partitions, firstSequence } = await readingsStream(bus);
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const messages = await Promise.all(
        partitionSubjects(partition).map((subject) =>
          bus.manager.streams.getMessage(streams.readings.name, { last_by_subj: subject }),
        ),
      );
      return { first: firstSequence, last: Math.max(0, ...messages.map((message) => message?.seq ?? 0)) };
    }),
  );
}
