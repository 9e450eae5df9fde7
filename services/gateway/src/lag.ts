/** How far each service is behind the log: of its slowest partition, so that one that stands still shows. */
import { readingsStream, type Bus } from "@calibration/shared/bus.ts";
import { partitionSubjects, streams } from "@calibration/shared/topology.ts";
import type pg from "pg";

export const STREAM_SERVICES = ["ingest", "anomaly", "drift", "calibration"] as const;
export type Lag = Record<(typeof STREAM_SERVICES)[number], number | null>;

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
