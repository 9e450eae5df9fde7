/**
 *   one message that ends the process whenever its reading is written ──▶ a dead letter, after some lives of the service
 *   the messages of every other partition, unlucky enough to be under way each time ──▶ kept, all of them
 */
import { ensureStreams } from "@calibration/shared/bus.ts";
import { doubles } from "@calibration/shared/columns.ts";
import { partitionOf, streams, subjects } from "@calibration/shared/topology.ts";
import { expect, it, onTestFailed } from "vitest";
import { openArena, openArenaPostgres } from "../support/chaos/arena.ts";
import { keepSensors, type LoadSensor } from "../support/chaos/load.ts";
import { WAIT_MS } from "../support/plant.ts";

const PARTITIONS = 4;
const POISON = 7654321.125;
/** As PostgreSQL's protocol carries it when the reading is written: the eight bytes of a double. */
const POISON_SENT = doubles([POISON]).subarray(-8).toString("latin1");
/** So large that the first batch of an innocent partition is never done when the poison strikes. */
const ARRAY_READINGS = 5_000;
const MESSAGES = 6;

it("a message that ends the process again and again is given up, and it alone", async () => {
  await using postgres = await openArenaPostgres();
  await using arena = await openArena({ postgres, database: "poisoned" });
  await using admin = await arena.openAdmin();
  await ensureStreams(admin, { partitions: PARTITIONS });
  const validFrom = new Date(Date.now() - 60_000);
  const sensors = oneOfEachPartition();
  await keepSensors(arena, sensors, validFrom);
  const services = await Promise.all([arena.join("ingest"), arena.join("calibration")]);
  onTestFailed(() => {
    for (const { name, output } of services) console.log(name, output().slice(-20_000));
  });
  // They stand still while the log fills, so that all of it is there when they begin.
  for (const service of services) {
    service.kill("SIGSTOP");
    service.postgres.setTrap({
      direction: "up",
      bytes: POISON_SENT,
      passes: false,
      stays: true,
      strike: () => service.kill(),
    });
  }
  const beginsMs = Date.now() - 86_400_000;
  const [first] = sensors as [LoadSensor];
  const say = ({ site, key }: LoadSensor, body: string) => admin.jetstream.publish(subjects.reading(site, key), body);
  await say(first, JSON.stringify({ value: 1, timestamp: beginsMs - 1 }));
  const { seq: poisonSequence } = await say(first, `{"value": ${POISON}, "timestamp": ${beginsMs}}`);
  for (let n = 0; n < MESSAGES; n++)
    for (const sensor of sensors)
      await say(
        sensor,
        JSON.stringify(
          Array.from({ length: ARRAY_READINGS }, (_, i) => ({
            value: i % 50,
            timestamp: beginsMs + 1 + n * ARRAY_READINGS + i,
          })),
        ),
      );
  const owed = 1 + MESSAGES * ARRAY_READINGS * sensors.length;
  for (const service of services) service.kill("SIGCONT");

  const letters = () =>
    arena.query<{ sequence: number; detail: string }>(
      "select stream_sequence as sequence, detail from dead_letters where reason = 'processing_failed' order by detail",
    );
  const end = (await admin.manager.streams.info(streams.readings.name)).state.last_seq;
  const passed = async () => {
    const rows = await arena.query<{ kept: number }>(
      "select max(kept)::int8 as kept from stream_positions where service in ('ingest', 'calibration') group by service",
    );
    return Math.min(...rows.map(({ kept }) => kept), rows.length < 2 ? 0 : Infinity);
  };
  await expect.poll(passed, { timeout: WAIT_MS, interval: 200 }).toBeGreaterThanOrEqual(end);
  const counted = async () =>
    (
      await arena.query<{ readings: number; corrected: number }>(
        "select (select count(*)::int from readings) as readings, (select count(*)::int from corrected_readings) as corrected",
      )
    )[0];
  await expect.poll(counted, { timeout: WAIT_MS, interval: 500 }).toEqual({ readings: owed, corrected: owed });
  expect(await letters()).toEqual([
    { sequence: poisonSequence, detail: expect.stringMatching(/^calibration /) as string },
    { sequence: poisonSequence, detail: expect.stringMatching(/^ingest /) as string },
  ]);
  for (const service of services) {
    await service.untilReady();
    expect(service.output().match(/ended: SIGKILL/g)!.length).toBeGreaterThan(3);
  }
});

/** The first of them is where the poison goes. */
function oneOfEachPartition(): LoadSensor[] {
  const found = new Map<number, LoadSensor>();
  for (let id = 1; found.size < PARTITIONS; id++) {
    const sensor: LoadSensor = { id, site: "main", key: String(id), kind: "history", stepMs: 1, beginsMs: 0 };
    const partition = partitionOf(sensor.site, sensor.key, PARTITIONS);
    if (!found.has(partition)) found.set(partition, sensor);
  }
  return [...found.values()];
}
