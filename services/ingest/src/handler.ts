import { admit, isReading, refreshFor } from "@calibration/shared/admission.ts";
import type { DeadLetter } from "@calibration/shared/dead-letters.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { Heard, PartitionHandler } from "@calibration/shared/hear.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import type { TimePartitions } from "@calibration/shared/time-partitions.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { createGathering, keepDeadLetters, keepGathered } from "./store.ts";

/** Decide which readings are admitted; keep them, and whole what is not; tell the dead letters. */
export function keepReadings(parts: { facts: Facts; months: TimePartitions; retentionDays: number }): PartitionHandler {
  return {
    async decide(batch) {
      const messages = batch.messages.filter(isReading);
      await refreshFor(parts.facts, messages);
      const gathering = createGathering();
      const dead: DeadLetter[] = [];
      let received = 0;
      for (const message of messages) received += gather(message, gathering, dead);
      await parts.months.ensure(gathering.timestamps());

      return async (transaction) => {
        const kept = gathering.count() === 0 ? 0 : await keepGathered(transaction, gathering);
        const tell = dead.length === 0 ? [] : await keepDeadLetters(transaction, dead, batch.streamCreated);
        const counts: Counts = {};
        count(counts, "received", [], received);
        count(counts, "kept", [], kept);
        count(counts, "repeated", [], gathering.count() - kept);
        for (const letter of dead) count(counts, "dead", [letter.reason], letter.readings);
        return { tell, counts };
      };
    },
  };

  /** Returns how many readings the message claimed to carry. */
  function gather(message: Heard, gathering: ReturnType<typeof createGathering>, dead: DeadLetter[]): number {
    const { sensor, parsed } = admit(parts.facts, message, parts.retentionDays);
    if (parsed.refusals.length > 0) dead.push(...deadLettersOf(message, parsed));
    if (sensor !== null) for (const reading of parsed.readings) gathering.add(sensor.sensorId, reading, message);
    return parsed.published;
  }
}
