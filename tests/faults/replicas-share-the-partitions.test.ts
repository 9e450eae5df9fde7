/**
 *   READINGS ──▶ one, two, three replicas of each service: joining, leaving, killed, cut off from PostgreSQL or from NATS
 *       └──(the same log)──▶ one replica of each, undisturbed       every partition has its owner, every row must agree
 */
import { ensureStreams } from "@calibration/shared/bus.ts";
import { streams } from "@calibration/shared/topology.ts";
import { expect, it, onTestFailed } from "vitest";
import { openArena, openArenaPostgres, type Arena, type Member } from "../support/chaos/arena.ts";
import { compareMaps, countPublished, readTold } from "../support/chaos/comparison.ts";
import { STREAM_SERVICES } from "../support/chaos/faults.ts";
import { createSensors, keepSensors, startLoad } from "../support/chaos/load.ts";
import {
  accounted,
  againstLedger,
  keepEvidence,
  runUndisturbed,
  sealLog,
  untilPassed,
} from "../support/chaos/outcome.ts";
import { WAIT_MS } from "../support/plant.ts";
import { needsSpareTime } from "../support/time.ts";

const PARTITIONS = 8;
const SEED = 11;
const ALL = Array.from({ length: PARTITIONS }, (_, partition) => partition);

it("replicas come, go, are killed and cut off, and the partitions are shared evenly and decided once", async (context) => {
  needsSpareTime(context);
  await using postgres = await openArenaPostgres();
  const validFrom = new Date(Date.now() - 60_000);
  const sensors = createSensors(SEED, validFrom.getTime()).filter(({ kind }) => kind !== "rest");
  await using arena = await openArena({ postgres, database: "shared" });
  onTestFailed(() => keepEvidence("shared", arena));
  await keepSensors(arena, sensors, validFrom);
  await using admin = await arena.openAdmin();
  await ensureStreams(admin, { partitions: PARTITIONS });
  const joinAll = () => Promise.all(STREAM_SERVICES.map((name) => arena.join(name)));
  const leave = async (members: readonly Member[], signal?: "SIGKILL") => {
    if (signal !== undefined) for (const member of members) member.kill(signal);
    await Promise.all(members.map((member) => member.stop()));
    for (const member of members) arena.members.splice(arena.members.indexOf(member), 1);
  };

  const first = await joinAll();
  const load = await startLoad(arena, { seed: SEED, sensors, restUrl: "", restToken: "" });
  await untilEven(arena, 1);
  const second = await joinAll();
  await untilEven(arena, 2);
  const third = await joinAll();
  await untilEven(arena, 3);
  await leave(second, "SIGKILL");
  await untilEven(arena, 2);
  await leave(first);
  await untilEven(arena, 1);
  await joinAll();
  await untilEven(arena, 2);

  for (const line of ["nats", "postgres"] as const) {
    for (const member of third) member[line].cut();
    for (const member of third)
      await expect
        .poll(() => ownedBy(member), { timeout: WAIT_MS, message: `${member.name} without ${line}` })
        .toEqual([]);
    const decided = await Promise.all(third.map(batchesOf));
    // The others have all of it, and go on.
    await untilEven(arena, 1, third);
    const { state } = await admin.manager.streams.info(streams.readings.name);
    await expect.poll(() => leastKept(arena), { timeout: WAIT_MS }).toBeGreaterThan(state.last_seq);
    expect(await Promise.all(third.map(batchesOf)), `batches without ${line}`).toEqual(decided);
    for (const member of third) member[line].mend();
    await Promise.all(third.map((member) => member.untilReady()));
    await untilEven(arena, 2);
  }

  await load.stop();
  await sealLog(admin);
  await untilPassed(arena);
  expect(await accounted(arena), "published = kept + repeats + dead-lettered").toBe(await countPublished(admin));
  const told = await readTold(admin);
  await Promise.all(arena.members.map((member) => member.stop()));
  await arena.nats.running![Symbol.asyncDispose]();
  const calm = await runUndisturbed(arena, sensors, validFrom, PARTITIONS);
  const { lost, doubled } = await againstLedger(arena, load.ledger);
  const differing = [
    ...calm.differing,
    ...compareMaps("told", calm.told.byId, told.byId),
    ...compareMaps("order of telling", calm.told.order, told.order),
  ];
  expect({ lost, doubled, differing: differing.slice(0, 20) }).toEqual({ lost: [], doubled: [], differing: [] });
  expect(load.ledger.readings).toBeGreaterThan(1_000);
  expect(told.byId.size).toBeGreaterThan(100);
});

/** Each partition has one owner, and no replica has two more than another. */
async function untilEven(arena: Arena, replicas: number, without: readonly Member[] = []): Promise<void> {
  for (const service of STREAM_SERVICES) {
    const members = arena.members.filter((member) => member.name === service && !without.includes(member));
    expect(members).toHaveLength(replicas);
    const look = async () => {
      const owned = await Promise.all(members.map(ownedBy));
      const counts = owned.map(({ length }) => length);
      return { all: owned.flat().toSorted((a, b) => a - b), uneven: Math.max(...counts) - Math.min(...counts) > 1 };
    };
    await expect
      .poll(look, { timeout: WAIT_MS, interval: 50, message: `${service} is shared by ${replicas}` })
      .toEqual({ all: ALL, uneven: false });
  }
}

async function metricsOf({ metricsPort }: Member): Promise<string> {
  return (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
}

/** A replica tells the lag of the partitions that it owns, and of no others. */
async function ownedBy(member: Member): Promise<number[]> {
  const lags = (await metricsOf(member)).matchAll(/^calibration_partition_lag_seconds\{[^}]*partition="(\d+)"/gm);
  return [...lags].map(([, partition]) => Number(partition)).toSorted((a, b) => a - b);
}

const batchesOf = async (member: Member): Promise<number> =>
  Number(/^calibration_batches_total\{[^}]*\} (\d+)$/m.exec(await metricsOf(member))![1]);

/** How far the slowest of all partitions of all services has come. Ticks come to every partition, readings or not. */
async function leastKept(arena: Arena): Promise<number> {
  const [row] = await arena.query<{ kept: number }>(
    "select min(kept)::int8 as kept from stream_positions where service = any($1)",
    [STREAM_SERVICES],
  );
  return row!.kept;
}
