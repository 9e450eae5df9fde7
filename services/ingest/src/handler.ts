import { admit, isReading, refreshFor } from "@calibration/shared/admission.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { Heard, PartitionHandler } from "@calibration/shared/hear.ts";
import type { TimePartitions } from "@calibration/shared/time-partitions.ts";
import { deadLettersOf, type DeadLetter } from "./dead-letters.ts";
import { createGathering, keepDeadLetters, keepGathered } from "./store.ts";

/** Decide which readings are admitted; keep them, and whole what is not; tell the dead letters. */
export function keepReadings(parts: { facts: Facts; months: TimePartitions; retentionDays: number }): PartitionHandler {
  return {
    async decide(batch) {
      const messages = batch.messages.filter(isReading);
      await refreshFor(parts.facts, messages);
      const gathering = createGathering();
      const dead: DeadLetter[] = [];
      for (const message of messages) gather(message, gathering, dead);
      await parts.months.ensure(gathering.timestamps());

      return async (transaction) => {
        const kept = gathering.count() === 0 ? 0 : await keepGathered(transaction, gathering);
        const tell = dead.length === 0 ? [] : await keepDeadLetters(transaction, dead, batch.streamCreated);
        const counted: Record<string, number> = { kept, repeats: gathering.count() - kept };
        for (const letter of dead) counted[letter.reason] = (counted[letter.reason] ?? 0) + letter.readings;
        return { tell, counted };
      };
    },
  };

  function gather(message: Heard, gathering: ReturnType<typeof createGathering>, dead: DeadLetter[]): void {
    const { sensor, parsed } = admit(parts.facts, message, parts.retentionDays);
    if (parsed.refusals.length > 0) dead.push(...deadLettersOf(message, parsed));
    if (sensor === null) return;
    for (const reading of parsed.readings) gathering.add(sensor.sensorId, reading, message);
  }
}
