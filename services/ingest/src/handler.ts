import { admit, isReading, refreshFor } from "@calibration/shared/admission.ts";
import type { DeadLetter } from "@calibration/shared/dead-letters.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { Heard, PartitionHandler } from "@calibration/shared/hear.ts";
import type { Keep } from "@calibration/shared/keep-together.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import { createNewest } from "@calibration/shared/newest.ts";
import type { TimePartitions } from "@calibration/shared/time-partitions.ts";
import type { Pool } from "pg";
import { deadLettersOf } from "./dead-letters.ts";
import { createGathering, findNewest, keepDeadLetters, keepReadings, type Gathering } from "./store.ts";

/** What a batch came to. */
export interface Gathered {
  gathering: Gathering;
  dead: DeadLetter[];
  /** How many readings its messages claimed to carry. */
  received: number;
  /** All are newer than what was kept of their sensors, so none is a repeat. */
  areNew: boolean;
}

/** Decide which readings are admitted, and why the others are not. */
export function gatherReadings(parts: {
  pool: Pick<Pool, "query">;
  facts: Facts;
  months: TimePartitions;
  retentionDays: number;
}): PartitionHandler<Gathered> {
  const newest = createNewest((sensorIds) => findNewest(parts.pool, sensorIds));
  // A partition that was just opened, perhaps since this very knowledge was wrong, lets PostgreSQL look at its first batch.
  let isProven = false;

  return {
    async decide(batch) {
      const messages = batch.messages.filter(isReading);
      await refreshFor(parts.facts, messages);
      const gathering = createGathering();
      const dead: DeadLetter[] = [];
      let received = 0;
      for (const message of messages) received += gather(message, gathering, dead);
      await parts.months.ensure(gathering.timestamps());
      return { gathering, dead, received, areNew: (await allNewer(gathering)) && isProven };
    },

    committed() {
      isProven = true;
    },
  };

  /** Whether each reading is newer than all of its sensor before it; remembers the newest. */
  async function allNewer(gathering: Gathering): Promise<boolean> {
    const latest = gathering.latest();
    const newestMs = await newest.of(latest.keys());
    let all = true;
    for (const [sensorId, { firstMs, isRising, timestampMs }] of latest) {
      const before = newestMs.get(sensorId)!;
      all &&= isRising && firstMs > before;
      newestMs.set(sensorId, Math.max(before, timestampMs));
    }
    return all;
  }

  /** Returns how many readings the message claimed to carry. */
  function gather(message: Heard, gathering: Gathering, dead: DeadLetter[]): number {
    const { sensor, parsed } = admit(parts.facts, message, parts.retentionDays);
    if (parsed.refusals.length > 0) dead.push(...deadLettersOf(message, parsed));
    if (sensor !== null) for (const reading of parsed.readings) gathering.add(sensor.sensorId, reading, message);
    return parsed.published;
  }
}

/** Keep the readings, and whole what is none; tell the dead letters. */
export const keepGathered: Keep<Gathered> = async (transaction, decisions) => {
  const kept = await keepReadings(
    transaction,
    decisions.map(({ decided }) => decided.gathering),
    decisions.every(({ decided }) => decided.areNew),
  );
  return Promise.all(
    decisions.map(async ({ batch, decided: { gathering, dead, received } }, index) => {
      const fresh = kept[index] ?? 0;
      const counts: Counts = {};
      count(counts, "received", [], received);
      count(counts, "kept", [], fresh);
      count(counts, "repeated", [], gathering.count() - fresh);
      for (const letter of dead) count(counts, "dead", [letter.reason], letter.readings);
      return { tell: dead.length === 0 ? [] : await keepDeadLetters(transaction, dead, batch.streamCreated), counts };
    }),
  );
};
