/** What came of a disturbed run, against its ledger and against a run of the same log that nothing disturbed. */
import { ensureStreams, type Bus } from "@calibration/shared/bus.ts";
import { streams } from "@calibration/shared/topology.ts";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, onTestFailed } from "vitest";
import { WAIT_MS } from "../plant.ts";
import { openArena, type Arena } from "./arena.ts";
import { compareTables, readTold, type Difference, type Told } from "./comparison.ts";
import { STREAM_SERVICES } from "./faults.ts";
import { keepSensors, refusePoison, type Ledger, type LoadSensor } from "./load.ts";

/** Nothing more is written to the log, so that its end is the same for everybody. */
export async function sealLog(admin: Bus): Promise<void> {
  const { config } = await admin.manager.streams.info(streams.readings.name);
  await admin.manager.streams.update(streams.readings.name, { ...config, sealed: true } as typeof config);
}

/**
 * The same log, read by one replica of each service in peace: how the tables of the disturbed run differ, and what was
 * told. The disturbed run's processes have ended, its nats-server too.
 */
export async function runUndisturbed(
  arena: Arena,
  sensors: readonly LoadSensor[],
  validFrom: Date,
  partitions: number,
): Promise<{ differing: Difference[]; told: Told }> {
  await using calm = await openArena({
    postgres: arena.postgres,
    database: "undisturbed",
    natsFrom: arena.nats.directory,
  });
  onTestFailed(() => keepEvidence("undisturbed", calm));
  await keepSensors(calm, sensors, validFrom);
  await refusePoison(calm);
  await using admin = await calm.openAdmin();
  for (const { name } of [streams.corrected, streams.events, streams.deadLetters])
    await admin.manager.streams.delete(name);
  await ensureStreams(admin, { partitions });
  await Promise.all(STREAM_SERVICES.map((name) => calm.join(name)));
  await untilPassed(calm);
  await Promise.all(calm.members.map((member) => member.stop()));
  return { differing: await compareTables(calm, arena), told: await readTold(admin) };
}

/** Until every service stands at the end of every partition of the sealed log. */
export async function untilPassed(arena: Arena): Promise<void> {
  await using admin = await arena.openAdmin();
  const { state } = await admin.manager.streams.info(streams.readings.name, { subjects_filter: ">" });
  const lasts = new Map<number, number>();
  for (const subject of Object.keys(state.subjects ?? {})) {
    const partition = Number(subject.split(".")[1]);
    const last = await admin.manager.streams.getMessage(streams.readings.name, { last_by_subj: subject });
    lasts.set(partition, Math.max(lasts.get(partition) ?? 0, last!.seq));
  }
  const behind = async () => {
    const positions = await arena.query<{ service: string; partition: number; kept: number }>(
      "select service, partition, kept::int8 from stream_positions",
    );
    return STREAM_SERVICES.flatMap((service) =>
      [...lasts]
        .filter(([partition, last]) => {
          const position = positions.find((one) => one.service === service && one.partition === partition);
          return (position?.kept ?? 0) < last;
        })
        .map(([partition]) => `${service} ${partition}`),
    );
  };
  await expect
    .poll(behind, { timeout: 2 * WAIT_MS, interval: 200, message: "everybody at the end of the log" })
    .toEqual([]);
}

/** What ingest counted, over all partitions. */
export async function accounted(arena: Arena): Promise<number> {
  const rows = await arena.query<{ n: number }>(
    `select sum(value::int8)::int8 as n from stream_positions, jsonb_each_text(counters)
      where service = 'ingest' and (key in ('kept', 'repeated') or key like 'dead/%')`,
  );
  return rows[0]!.n;
}

/** What was acknowledged, against what is kept. */
export async function againstLedger(arena: Arena, ledger: Ledger): Promise<{ lost: string[]; doubled: string[] }> {
  const quality = ["good", "uncertain", "bad"];
  const lost: string[] = [];
  const doubled: string[] = [];
  const readings = await arena.query<{ name: string; raw_value: number; quality: number; corrected: number }>(
    `select concat(r.sensor_id, ' ', (extract(epoch from r.timestamp) * 1000)::int8) as name, r.raw_value, r.quality,
       (select count(*)::int from corrected_readings c where c.sensor_id = r.sensor_id and c.timestamp = r.timestamp) as corrected
      from readings r`,
  );
  const kept = new Map<string, (typeof readings)[number]>();
  for (const row of readings) {
    if (kept.has(row.name) || !ledger.owed.has(row.name)) doubled.push(`reading ${row.name}`);
    kept.set(row.name, row);
  }
  for (const [name, owed] of ledger.owed) {
    const row = kept.get(name);
    if (row === undefined || row.raw_value !== owed.value || quality[row.quality] !== owed.quality)
      lost.push(`reading ${name}`);
    else if (row.corrected !== (owed.quality === "bad" ? 0 : 1)) lost.push(`corrected ${name}`);
  }
  const letters = new Map(
    (await arena.query<{ payload: Buffer; reason: string }>("select payload, reason from dead_letters")).map(
      ({ payload, reason }) => [payload.toString(), reason],
    ),
  );
  for (const [payload, reason] of ledger.refused)
    if (letters.get(payload) !== reason) lost.push(`dead letter ${payload}`);
  for (const payload of letters.keys()) if (!ledger.refused.has(payload)) doubled.push(`dead letter ${payload}`);
  return { lost: lost.slice(0, 20), doubled: doubled.slice(0, 20) };
}

/** What every service logged, in all its lives. */
export function keepEvidence(run: string, arena: Arena): void {
  const directory = join(inject("localDirectory"), "evidence", run);
  mkdirSync(directory, { recursive: true });
  for (const member of arena.members) writeFileSync(join(directory, `${member.name}.log`), member.output());
}
