/**
 *   seeded readings ──▶ READINGS ──▶ six services, broken in every way while they work
 *                          └──(the same log)──▶ four services, undisturbed      every row and every event must agree
 *
 * `npm run chaos -- --minutes 10 --seed N` goes on breaking for so long, in another order for each seed.
 */
import { createRandom } from "@calibration/models/random.ts";
import { ensureStreams } from "@calibration/shared/bus.ts";
import { requestTraining } from "@calibration/shared/training.ts";
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFailed } from "vitest";
import { isAlive, openArena, openArenaPostgres, somePort, type Arena } from "../support/chaos/arena.ts";
import {
  compareMaps,
  countPublished,
  readTold,
  tablesForgotten,
  type Difference,
} from "../support/chaos/comparison.ts";
import { createFaults, STREAM_SERVICES } from "../support/chaos/faults.ts";
import { createSensors, keepSensors, refusePoison, startLoad, type Ledger, type Load } from "../support/chaos/load.ts";
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

/** More than a service has connections. */
const PARTITIONS = 8;
/** The longest of all tests: where the others took longer than this, it would take an hour. */
const SPARE_MINUTES_MAX = 12;
const SEED = Number(process.env["CHAOS_SEED"] ?? 1);
const MINUTES = Number(process.env["CHAOS_MINUTES"] ?? 0);
/** The sensors that training is asked for have no readings, so that no model changes what the others are judged by. */
const TRAINED_FROM = 900;

it(
  "nothing is lost, doubled or different, whatever breaks",
  async (context) => {
    needsSpareTime(context, SPARE_MINUTES_MAX);
    await using postgres = await openArenaPostgres();
    const validFrom = new Date(Date.now() - 60_000);
    const sensors = createSensors(SEED, validFrom.getTime());
    await using arena = await openArena({ postgres, database: "disturbed" });
    onTestFailed(() => keepEvidence("disturbed", arena));
    await keepSensors(arena, sensors, validFrom);
    await refusePoison(arena);
    expect(await tablesForgotten(arena)).toEqual([]);
    {
      await using admin = await arena.openAdmin();
      await ensureStreams(admin, { partitions: PARTITIONS });
    }
    const token = randomBytes(16).toString("hex");
    const restPort = await somePort();
    await Promise.all([
      ...STREAM_SERVICES.map((name) => arena.join(name)),
      // Training is asked for here, and by no schedule: a new model would change what is judged.
      arena.join("trainer", { TRAINER_SCHEDULE: "never" }),
      arena.join("gateway", {
        PORT: String(restPort),
        BOOTSTRAP_TOKENS: JSON.stringify({ operator: token }),
        REQUESTS_PER_MINUTE: "1000000",
      }),
    ]);
    const restUrl = `http://127.0.0.1:${restPort}`;
    const load = await startLoad(arena, { seed: SEED, sensors, restUrl, restToken: token });

    const injected = await breakThings(arena, load);
    await load.stop();

    await using admin = await arena.openAdmin();
    await sealLog(admin);
    await untilPassed(arena);
    await untilTrained(arena);
    const published = await countPublished(admin);
    expect(await accounted(arena), "published = kept + repeats + dead-lettered").toBe(published);
    const members = [...arena.members];
    for (const member of members) await member.untilReady();
    expect(
      members.filter((member) => !member.wasUnready).map((member) => member.name),
      "said that it could not work, while it could not",
    ).toEqual([]);
    expect(secretsTold(arena, [token, new URL(postgres.url).password])).toEqual([]);
    const told = await readTold(admin);
    expect(await Promise.all(members.map((member) => member.stop()))).toEqual(members.map(() => 0));
    expect([...arena.pids].filter(isAlive), "processes left").toEqual([]);
    const { pid: natsPid } = arena.nats.running!;
    await arena.nats.running![Symbol.asyncDispose]();
    expect(isAlive(natsPid)).toBe(false);

    const calm = await runUndisturbed(arena, sensors, validFrom, PARTITIONS);
    const { lost, doubled } = await againstLedger(arena, load.ledger);
    const differing = [
      ...calm.differing,
      ...compareMaps("told", calm.told.byId, told.byId),
      ...compareMaps("order of telling", calm.told.order, told.order),
      ...told.contradicted.map((id) => ({ where: "told twice", key: id, undisturbed: null, disturbed: null })),
    ];
    console.log(
      tableOf({ injected, ledger: load.ledger, published, told: told.byId.size, lost, doubled, differing, seed: SEED }),
    );
    expect({ lost, doubled, differing: differing.slice(0, 20) }).toEqual({ lost: [], doubled: [], differing: [] });
    // What was compared was there.
    expect(told.byId.size).toBeGreaterThan(100);
    expect((await arena.query<{ n: number }>("select count(*)::int as n from anomalies"))[0]!.n).toBeGreaterThan(10);
  },
  MINUTES > 0 ? MINUTES * 60_000 * 2 + 1_200_000 : 1_800_000,
);

/** What nobody may find in a log: which of the secrets stand in which one. */
function secretsTold(arena: Arena, tokens: readonly string[]): string[] {
  const secrets = [...tokens, ...Object.values(arena.nats.users), ...Object.values(arena.postgres.passwords)];
  const logs = [
    ...arena.members.map((member) => ({ name: member.name, text: member.output() })),
    { name: "nats-server", text: readFileSync(join(arena.nats.directory, "nats.log"), "utf8") },
  ];
  expect(secrets.length).toBeGreaterThan(12);
  return logs.flatMap(({ name, text }) =>
    secrets.filter((secret) => text.includes(secret)).map((secret) => `${name} tells ${secret}`),
  );
}

type Injected = Map<string, number>;

/** Every fault once, in the seed's order; in the long form again and again. */
async function breakThings(arena: Arena, load: Load): Promise<Injected> {
  const random = createRandom(SEED);
  const injected: Injected = new Map();
  const faults = createFaults({ arena, load, random }).filter(({ isLong }) => isLong !== true || MINUTES > 0);
  const untilMs = Date.now() + MINUTES * 60_000;
  await expect.poll(() => load.ledger.readings, { timeout: WAIT_MS }).toBeGreaterThan(500);
  await using admin = await arena.openAdmin();
  do {
    for (const fault of faults.toSorted(() => random.float() - 0.5)) {
      const begun = performance.now();
      if (process.env["CHAOS_SAY"] === "1") process.stderr.write(`${fault.name} …\n`);
      const times = await fault.strike();
      injected.set(fault.name, (injected.get(fault.name) ?? 0) + times);
      if (process.env["CHAOS_SAY"] === "1")
        process.stderr.write(`${((performance.now() - begun) / 1000).toFixed(1)} s  ${fault.name}\n`);
      await askForTraining(admin, arena);
    }
  } while (Date.now() < untilMs);
  return injected;
}

let asked = 0;

/** A request that a trainer which is killed must leave to the next one, and answer once. */
async function askForTraining(admin: Parameters<typeof requestTraining>[0], arena: Arena): Promise<void> {
  const id = randomUUID();
  await arena.query("insert into training_jobs (id, trigger, total) values ($1, 'request', 1)", [id]);
  await requestTraining(admin, [
    { job_id: id, sensor_id: TRAINED_FROM + asked++, model_type: "anomaly", trigger: "request", due_because: null },
  ]);
}

async function untilTrained(arena: Arena): Promise<void> {
  const unanswered =
    "select count(*)::int as n from training_jobs j where (select count(*) from training_runs r where r.job_id = j.id) <> 1";
  await expect
    .poll(async () => (await arena.query<{ n: number }>(unanswered))[0]!.n, {
      timeout: WAIT_MS,
      message: "trained once",
    })
    .toBe(0);
}

function tableOf(parts: {
  injected: Injected;
  ledger: Ledger;
  published: number;
  told: number;
  lost: readonly string[];
  doubled: readonly string[];
  differing: readonly Difference[];
  seed: number;
}): string {
  const { injected, ledger } = parts;
  const row = (what: string, figure: number | string) => `  ${what.padEnd(52)}${String(figure).padStart(10)}`;
  const faults = [...injected].toSorted(([a], [b]) => a.localeCompare(b));
  return [
    `seed ${parts.seed}`,
    ...faults.map(([name, times]) => row(name, times)),
    row(
      "faults injected",
      faults.reduce((sum, [, times]) => sum + times, 0),
    ),
    row("readings sent", ledger.readings),
    row("in messages · sent again for want of an ack", `${ledger.messages} · ${ledger.again}`),
    row("readings in the log, repeats of the sender included", parts.published),
    row("facts told", parts.told),
    row("lost", parts.lost.length),
    row("doubled", parts.doubled.length),
    row("differing", parts.differing.length),
  ].join("\n");
}
