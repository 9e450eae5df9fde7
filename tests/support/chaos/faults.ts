/** What is done to a running platform, each fault by its name. A fault ends when what it broke is whole again. */
import type { Random } from "@calibration/models/random.ts";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { expect } from "vitest";
import { WAIT_MS, type ServiceName } from "../plant.ts";
import type { Trap } from "../proxy.ts";
import type { Arena, Member } from "./arena.ts";
import { POOL_SIZE } from "@calibration/shared/database.ts";
import { POISON_SENT, type Load } from "./load.ts";

export interface Fault {
  name: string;
  /** How often it struck. */
  strike(): Promise<number>;
  /** In the long form only: by itself another test shows it. */
  isLong?: true;
}

export const STREAM_SERVICES = ["ingest", "anomaly", "drift", "calibration"] as const satisfies ServiceName[];

/** A simple query of PostgreSQL's protocol: its letter, its length, its text. */
const statement = (text: string): string => {
  const header = Buffer.alloc(5);
  header.write("Q");
  header.writeInt32BE(4 + text.length + 1, 1);
  return `${header.toString("latin1")}${text}\0`;
};
const COMMITTED = "C\0\0\0\x0bCOMMIT\0";

/** The moments of a batch. Before telling and after telling exist only for what a service tells. */
export const MOMENTS: Readonly<Record<string, { line: "postgres" | "nats"; trap: Omit<Trap, "strike"> }>> = {
  "before the transaction": { line: "postgres", trap: { direction: "up", bytes: statement("begin"), passes: false } },
  "inside the transaction": { line: "postgres", trap: { direction: "up", bytes: statement("commit"), passes: false } },
  "while it commits": { line: "postgres", trap: { direction: "up", bytes: statement("commit"), passes: true } },
  "after the transaction": { line: "postgres", trap: { direction: "down", bytes: COMMITTED, passes: false } },
  "before telling": { line: "nats", trap: { direction: "up", bytes: "HPUB ", passes: false } },
  "after telling": { line: "nats", trap: { direction: "up", bytes: "HPUB ", passes: true } },
};

/** Anomaly and drift tell too seldom to be struck at it. */
const TELLS_OFTEN: readonly string[] = ["ingest", "calibration"];
const UNREADY_TOO_SHORT_MS = 500;
const SESSION_ENDS_MS = 50;
const FROZEN_MS = 30_000;
const REFUSALS_IN_A_ROW = 6;

export function createFaults(parts: { arena: Arena; load: Load; random: Random }): Fault[] {
  const { arena, load, random } = parts;
  const find = (name: string): Member => arena.members.find((member) => member.name === name)!;
  const stream = () => STREAM_SERVICES.map(find);
  const each = async (members: readonly Member[], work: (member: Member) => Promise<void>) => {
    await Promise.all(members.map(work));
  };
  const pick = <T>(from: readonly T[]): T => from[random.integer(from.length)]!;

  // Histories that caught up with the clock say something every few minutes only.
  const speaking = load.sensors.filter(({ kind }) => kind === "live");

  const killedAt = async (member: Member, moment: string): Promise<void> => {
    const { line, trap } = MOMENTS[moment]!;
    await member.untilReady();
    const struck = Promise.withResolvers<void>();
    member[line].setTrap({
      ...trap,
      strike: () => {
        member.kill();
        struck.resolve();
      },
    });
    // A moment that does not come is no fault: the test must know that it came.
    const late = pause(WAIT_MS, "late", { ref: false });
    if ((await Promise.race([struck.promise, late])) === "late")
      throw new Error(`${member.name} came to no moment "${moment}":\n${member.output().slice(-3000)}`);
    await member.untilReady();
  };

  return [
    ...Object.keys(MOMENTS).map((moment) => ({
      name: `kill -9 ${moment}`,
      async strike() {
        const struck = stream().filter(({ name }) => !moment.endsWith("telling") || TELLS_OFTEN.includes(name));
        await each(struck, (member) => killedAt(member, moment));
        return struck.length;
      },
    })),
    {
      name: "kill -9 at any moment, all six",
      async strike() {
        for (const member of arena.members) {
          await pause(random.integer(100));
          member.kill();
        }
        await each(arena.members, (member) => member.untilReady());
        return arena.members.length;
      },
    },
    {
      name: "a replica joins, is frozen, thaws, is killed",
      async strike() {
        const name = pick(STREAM_SERVICES);
        const replica = await arena.join(name);
        await pause(random.integer(1_000));
        replica.kill("SIGSTOP");
        // Longer than it takes the other to believe it dead, so that both own its partitions for a moment.
        await pause(3_000);
        replica.kill("SIGCONT");
        await pause(random.integer(1_000));
        replica.kill();
        await replica.stop();
        arena.members.splice(arena.members.indexOf(replica), 1);
        return 3;
      },
    },
    {
      name: "a replica joins and leaves",
      async strike() {
        const replica = await arena.join(pick(STREAM_SERVICES));
        await pause(random.integer(1_000));
        await replica.stop();
        arena.members.splice(arena.members.indexOf(replica), 1);
        return 2;
      },
    },
    {
      name: "kill -9 of nats-server",
      async strike() {
        process.kill(arena.nats.running!.pid, "SIGKILL");
        await each(arena.members, (member) => member.untilUnready());
        await arena.nats.restart();
        await each(arena.members, (member) => member.untilReady());
        return 1;
      },
    },
    {
      name: "kill -9 of PostgreSQL",
      async strike() {
        await arena.postgres.kill();
        await each(arena.members, (member) => member.untilUnready());
        await arena.postgres.restart();
        await each(arena.members, (member) => member.untilReady());
        return 1;
      },
    },
    {
      name: "PostgreSQL frozen",
      async strike() {
        arena.postgres.freeze();
        const thaws = pause(FROZEN_MS);
        try {
          await each(arena.members, (member) => member.untilUnready());
          await thaws;
        } finally {
          arena.postgres.thaw();
        }
        await each(arena.members, (member) => member.untilReady());
        return 1;
      },
    },
    {
      name: "the line to NATS cut",
      async strike() {
        for (const member of arena.members) member.nats.cut();
        await each(arena.members, (member) => member.untilUnready());
        for (const member of arena.members) member.nats.mend();
        await each(arena.members, (member) => member.untilReady());
        return arena.members.length;
      },
    },
    {
      name: "the line to PostgreSQL cut",
      async strike() {
        for (const member of arena.members) member.postgres.cut();
        await pause(UNREADY_TOO_SHORT_MS);
        for (const member of arena.members) member.postgres.mend();
        await each(arena.members, (member) => member.untilReady());
        return arena.members.length;
      },
    },
    {
      name: "no connection left in PostgreSQL",
      strike: () => withoutConnections(arena, stream()),
    },
    {
      name: "a service's own connections all wait",
      strike: () => fullPools(arena, stream()),
    },
    {
      name: "a reading that PostgreSQL refuses",
      isLong: true,
      async strike() {
        await untilGivenUp(arena, await load.poison(pick(speaking)));
        return 1;
      },
    },
    {
      name: "a reading that ends whoever writes it",
      isLong: true,
      async strike() {
        const struck = ["ingest", "calibration"].map(find);
        for (const member of struck)
          member.postgres.setTrap({
            direction: "up",
            bytes: POISON_SENT,
            passes: false,
            stays: true,
            strike: () => member.kill(),
          });
        try {
          await untilGivenUp(arena, await load.poison(pick(speaking)));
        } finally {
          for (const member of struck) member.postgres.setTrap(null);
        }
        await each(struck, (member) => member.untilReady());
        return struck.length;
      },
    },
    {
      name: "deadlock",
      async strike() {
        await deadlock(arena);
        return 1;
      },
    },
  ];
}

/** Takes every connection there is, and ends those of the services: they ask for new ones, and are refused. */
async function withoutConnections(arena: Arena, members: readonly Member[]): Promise<number> {
  const taken: pg.Client[] = [];
  const take = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: arena.databaseUrl });
    client.on("error", () => undefined);
    try {
      await client.connect();
      taken.push(client);
      return true;
    } catch {
      return false;
    }
  };
  try {
    for (const member of members) member.postgres.cut();
    // Their sessions end a moment after their lines; what becomes free is taken.
    for (let refused = 0; refused < REFUSALS_IN_A_ROW;) {
      refused = (await take()) ? 0 : refused + 1;
      if (refused > 0) await pause(SESSION_ENDS_MS);
    }
    for (const member of members) member.postgres.mend();
    await Promise.all(members.map((member) => member.untilUnready()));
  } finally {
    await Promise.all(taken.map((client) => client.end().catch(() => undefined)));
  }
  await Promise.all(members.map((member) => member.untilReady()));
  return members.length;
}

/**
 * A stranger holds every position while the services ask for theirs: each partition takes a connection and waits, until
 * the pool has none left.
 */
async function fullPools(arena: Arena, members: readonly Member[]): Promise<number> {
  const stranger = new pg.Client({ connectionString: arena.databaseUrl });
  stranger.on("error", () => undefined);
  await stranger.connect();
  try {
    await stranger.query("begin");
    await stranger.query("select 1 from stream_positions order by service, partition for update");
    // They open their partitions anew.
    for (const member of members) member.postgres.cut();
    for (const member of members) member.postgres.mend();
    await Promise.all(
      members.map(async ({ name }) => {
        const waiting = async () =>
          (
            await arena.query<{ n: number }>(
              "select count(*)::int as n from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'",
              [name],
            )
          )[0]!.n;
        await expect.poll(waiting, { timeout: WAIT_MS, interval: 20 }).toBe(POOL_SIZE);
      }),
    );
    await Promise.all(members.map((member) => member.untilUnready()));
  } finally {
    await stranger.query("rollback").catch(() => undefined);
    await stranger.end();
  }
  await Promise.all(members.map((member) => member.untilReady()));
  return members.length;
}

/** Until the two services that write a reading down have both given it up. */
async function untilGivenUp(arena: Arena, payload: string): Promise<void> {
  await expect
    .poll(
      async () =>
        (
          await arena
            .query<{ n: number }>(
              "select count(*)::int as n from dead_letters where reason = 'processing_failed' and payload = $1",
              [Buffer.from(payload)],
            )
            .catch(() => [{ n: 0 }])
        )[0]!.n,
      { timeout: 2 * WAIT_MS, interval: 200, message: "given up by ingest and by calibration" },
    )
    .toBe(2);
}

/** A stranger holds what ingest needs next and then asks for what ingest holds; PostgreSQL ends ingest's transaction. */
async function deadlock(arena: Arena): Promise<void> {
  const stranger = new pg.Client({ connectionString: arena.databaseUrl });
  stranger.on("error", () => undefined);
  await stranger.connect();
  try {
    // PostgreSQL ends the one whose patience ends first: ingest's (a second), unless it waited for other partitions before.
    await stranger.query("set deadlock_timeout = '3s'");
    const before = await deadlocks(arena);
    await stranger.query("begin");
    await stranger.query("select 1 from sensor_latest for update");
    const { rows } = await stranger.query<{ pid: number }>("select pg_backend_pid() as pid");
    await expect
      .poll(
        async () =>
          (
            await arena.query<{ n: number }>(
              "select count(*)::int as n from pg_stat_activity where application_name = 'ingest' and $1 = any(pg_blocking_pids(pid))",
              [rows[0]!.pid],
            )
          )[0]!.n,
        { timeout: WAIT_MS, interval: 10 },
      )
      .toBeGreaterThan(0);
    await stranger.query("select 1 from stream_positions where service = 'ingest' for update").catch(() => undefined);
    await stranger.query("rollback");
    await expect.poll(() => deadlocks(arena), { timeout: WAIT_MS }).toBeGreaterThan(before);
  } finally {
    await stranger.end();
  }
}

async function deadlocks(arena: Arena): Promise<number> {
  const [counted] = await arena.query<{ deadlocks: number }>(
    "select deadlocks from pg_stat_database where datname = current_database()",
  );
  return counted!.deadlocks;
}
