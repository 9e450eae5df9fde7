/**
 * READINGS ─▶ one partition's reading ─▶ ended, read to its end or not at all
 *
 * A reading that never closes would keep its partition for good: its replica neither gives it up nor opens it again.
 */
import { openPartitionReading } from "@calibration/shared/read-partition.ts";
import { expect, it } from "vitest";
import { openPlant } from "../support/plant.ts";

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
