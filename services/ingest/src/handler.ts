import { admit, isReading, refreshFor } from "@calibration/shared/admission.ts";
import type { DeadLetter } from "@calibration/shared/dead-letters.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { Heard, PartitionHandler } from "@calibration/shared/hear.ts";
import type { Keep } from "@calibration/shared/keep-together.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import type { TimePartitions } from "@calibration/shared/time-partitions.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { createGathering, keepDeadLetters, keepReadings, type Gathering } from "./store.ts";

/** What a batch came to. */
export interface Gathered {
  gathering: Gathering;
  dead: DeadLetter[];
  /** How many readings its messages claimed to carry. */
  received: number;
}

/** Decide which readings are admitted, and why the others are not. */
export function gatherReadings(parts: {
  facts: Facts;
  months: TimePartitions;
  retentionDays: number;
}): PartitionHandler<Gathered> {
  return {
    async decide(batch) {
      const messages = batch.messages.filter(isReading);
      await refreshFor(parts.facts, messages);
      const gathering = createGathering();
      const dead: DeadLetter[] = [];
      let received = 0;
      for (const message of messages) received += gather(message, gathering, dead);
      await parts.months.ensure(gathering.timestamps());
      return { gathering, dead, received };
    },
  };

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
