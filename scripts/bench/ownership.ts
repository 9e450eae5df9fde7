/** How long it takes until the partitions are shared evenly again after a replica has joined, left or was killed. */
import { setTimeout as pause } from "node:timers/promises";
import type { Figure } from "./figure.ts";
import { PARTITIONS, somePort, type Process, type Servers, type Site } from "./site.ts";

const SECONDS_MAX = 2;
const REPLICAS = 3;
const LOOK_MS = 10;
const EVEN_MS_MAX = 60_000;

interface Replica {
  port: number;
  process: Process;
}

export async function ownershipFigures(servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> {
  const seconds: Record<"joined" | "left" | "was killed", number[]> = { joined: [], left: [], "was killed": [] };
  for (let round = 0; round < (quick ? 1 : 2 * rounds); round++) {
    await using site = await servers.openSite(10);
    const replicas = await Promise.all(Array.from({ length: REPLICAS - 1 }, () => startReplica(site)));
    await untilEven(replicas);
    replicas.push(await startReplica(site));
    // From its ready: what comes before is the start of a process.
    seconds.joined.push(await untilEven(replicas, replicas.at(-1)!.process.readyAt));
    const [leaving] = replicas.splice(0, 1);
    const left = performance.now();
    const gone = leaving!.process[Symbol.asyncDispose]();
    seconds.left.push(await untilEven(replicas, left));
    await gone;
    const [killed] = replicas.splice(0, 1);
    const killedAt = performance.now();
    process.kill(killed!.process.pid, "SIGKILL");
    seconds["was killed"].push(await untilEven(replicas, killedAt));
  }
  return Object.entries(seconds).map(([what, ours]) => ({
    name: `partitions even again after a replica of anomaly ${what}`,
    reference: `at most ${SECONDS_MAX} s`,
    unit: "s",
    bound: { kind: "at most", ratio: 1 },
    ours,
    theirs: ours.map(() => SECONDS_MAX),
    ratio: Math.max(...ours) / SECONDS_MAX,
    note: "the slowest counts",
  }));
}

async function startReplica(site: Site): Promise<Replica> {
  const port = await somePort();
  return { port, process: await site.start("anomaly", { env: { METRICS_PORT: String(port) } }) };
}

/** Seconds since then until each partition has one owner and no replica has two more than another. */
async function untilEven(replicas: readonly Replica[], since = performance.now()): Promise<number> {
  while (performance.now() - since < EVEN_MS_MAX) {
    const owned = await Promise.all(replicas.map(ownedBy));
    const counts = owned.map(({ length }) => length);
    const isWhole = new Set(owned.flat()).size === PARTITIONS && owned.flat().length === PARTITIONS;
    if (isWhole && Math.max(...counts) - Math.min(...counts) <= 1) return (performance.now() - since) / 1000;
    await pause(LOOK_MS);
  }
  throw new Error(`the partitions are not shared evenly within ${EVEN_MS_MAX / 1000} s`);
}

/** A replica tells the lag of the partitions that it owns, and of no others. */
async function ownedBy({ port }: Replica): Promise<string[]> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return [...metrics.matchAll(/^calibration_partition_lag_seconds\{[^}]*partition="(\d+)"/gm)].map(([, one]) => one!);
}
