/** What more replicas of anomaly bring while scoring is what costs. */
import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { ratioOf, type Figure } from "./figure.ts";
import { giveModels } from "./given-models.ts";
import { publishBacklog } from "./publisher.ts";
import { ROOT, type Process, type Servers, type Site } from "./site.ts";

const SENSORS = 200;
/** Joined replicas have shared the partitions by then. */
const SETTLED_MS = 2500;
const LOOK_MS = 50;
const MEASURED_MS = 10_000;
const QUICK_MS = 3000;

export async function replicaFigures(servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> {
  const counts = quick ? [1, 2] : [1, 2, 4];
  const rates = new Map<number, number[]>(counts.map((count) => [count, []]));
  for (let round = 0; round < rounds; round++)
    for (const count of counts) rates.get(count)!.push(await rateOfReplicas(servers, count, quick));
  const [alone] = [rates.get(1)!];
  return counts.slice(1).map((count) => ({
    name: `anomaly with ${count} replicas, scoring 200 times as costly`,
    reference: "1 replica",
    unit: "readings/s",
    bound: count === 2 ? { kind: "at least", ratio: 1.7 } : null,
    ours: rates.get(count)!,
    theirs: alone,
    ratio: ratioOf(rates.get(count)!, alone),
    note: `${availableParallelism()} cores`,
  }));
}

async function rateOfReplicas(servers: Servers, count: number, quick: boolean): Promise<number> {
  await using site = await servers.openSite(SENSORS);
  await giveModels(site, ["anomaly"]);
  const readings = quick ? 900_000 : 5_000_000;
  await publishBacklog(site.bus, { sensors: SENSORS, readings, perMessage: 100 });
  const replicas: Process[] = await Promise.all(
    Array.from({ length: count }, () => site.start("anomaly", { imports: `${ROOT}scripts/bench/costly-scoring.ts` })),
  );
  await pause(SETTLED_MS);
  const [before, begun] = [await judged(site), performance.now()];
  if (before === readings) throw new Error("the backlog was worked off before it could be measured");
  let [now, at] = [before, begun];
  while (now < readings && at - begun < (quick ? QUICK_MS : MEASURED_MS)) {
    await pause(LOOK_MS);
    [now, at] = [await judged(site), performance.now()];
  }
  for (const replica of replicas) await replica[Symbol.asyncDispose]();
  return ((now - before) / (at - begun)) * 1000;
}

async function judged({ database }: Site): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>(
    "select coalesce(sum((counters->>'judged/isolation_forest')::float8), 0) as n from stream_positions where service = 'anomaly'",
  );
  return rows[0]!.n;
}
