/**
 * READINGS ─▶ one partition's reading ─▶ ended, read to its end or not at all
 *
 * A reading that never closes would keep its partition for good: its replica neither gives it up nor opens it again.
 */
import { readingsStream } from "@calibration/shared/bus.ts";
import { openHearing } from "@calibration/shared/hear.ts";
import { createLog } from "@calibration/shared/log.ts";
import { createRegistry, createStreamMetrics } from "@calibration/shared/metrics.ts";
import { openPartitionReading } from "@calibration/shared/read-partition.ts";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";

const PARTITIONS = 4;
const LIMITS = { messages: 10, bytes: 1_000_000 };

it("a partition's reading closes also where nobody has read it to its end", async () => {
  await using plant = await openPlant({ partitions: PARTITIONS });
  for (let id = 1; id <= 40; id++) await plant.publish({ site: "main", key: String(id) }, { value: id });
  const taken: number[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const open = () =>
      openPartitionReading(plant.bus, { partition, from: 1, limits: LIMITS, messagesMax: () => LIMITS.messages });
    const unread = await open();
    await unread[Symbol.asyncDispose]();
    const left = await open();
    for await (const batch of left.batches()) {
      taken.push(batch.length);
      left.end();
      break;
    }
    await left[Symbol.asyncDispose]();
  }
  expect(taken).toHaveLength(PARTITIONS);
});

it("what the last owner may not have told stays owed where the next one gives the partition up before it has told it again", async () => {
  await using plant = await openPlant({ partitions: 1 });
  await plant.publish({ site: "main", key: "1" }, { value: 1 });
  const { created } = await readingsStream(plant.bus);
  const owed = { tellsOf: [1] };
  await plant.rows(
    `insert into stream_positions (service, partition, stream_created, kept, told, snapshot, attempts, untold, counters)
     values ('calibration', 0, $1, 1, 0, 0, 0, $2, '{}')`,
    [created, owed],
  );
  const retold: number[] = [];
  /** Owns the partition, and loses it again while it is opened. */
  const own = async (isLostAtOnce: boolean) => {
    let owns = true;
    const listeners: (() => void)[] = [];
    await using hearing = await openHearing<null>({
      service: "calibration",
      bus: plant.bus,
      database: plant.database,
      presence: {
        replica: "test",
        replicas: () => ["test"],
        owns: () => owns,
        onChange: (listener) => void listeners.push(listener),
        async [Symbol.asyncDispose]() {},
      },
      metrics: createStreamMetrics(createRegistry("test"), "calibration"),
      log: createLog("test", "fatal"),
      report: () => undefined,
      stallMs: WAIT_MS,
      async open() {
        if (isLostAtOnce) {
          owns = false;
          for (const listener of listeners) listener();
        }
        return {
          decide: async () => null,
          async retell({ messages }) {
            retold.push(...messages.map(({ sequence }) => sequence));
            return [];
          },
        };
      },
      keep: async () => [],
    });
    const done = isLostAtOnce ? () => hearing.partitionsOwned().length : () => 1 - retold.length;
    await expect.poll(done, { timeout: WAIT_MS }).toBe(0);
  };
  const standing = async () => (await plant.rows("select untold from stream_positions"))[0]!["untold"] as unknown;

  await own(true);
  expect(retold).toEqual([]);
  expect(await standing()).toEqual(owed);
  await own(false);
  expect(retold).toEqual([1]);
  expect(await standing()).toEqual([]);
});
