/** Admission: which readings of a message count, and for which sensor. The same answer in every service. */
import type { Facts, SensorAt } from "./facts.ts";
import type { Heard } from "./hear.ts";
import { parseMessage, refuseTooOld, sensorOfSubject, type Parsed } from "./reading.ts";

export interface Admitted {
  message: Heard;
  /** Null where nothing was admitted. */
  sensor: SensorAt | null;
  parsed: Parsed;
}

export const isReading = (message: Heard): boolean => message.subject.startsWith("readings.");

/** Looks up every sensor that a batch names. */
export async function refreshFor(facts: Facts, messages: readonly Heard[]): Promise<void> {
  const names = new Map<string, { site: string; key: string }>();
  let storedMs = 0;
  for (const message of messages) {
    storedMs = Math.max(storedMs, message.storedMs);
    if (!isReading(message)) continue;
    const name = sensorOfSubject(message.subject);
    if (name !== null) names.set(message.subject, name);
  }
  await facts.refresh(names.values(), storedMs);
}

/** Pure but for the facts, which count from their `valid_from`. Call `refreshFor` on the batch first. */
export function admit(facts: Pick<Facts, "at">, message: Heard, retentionDays: number): Admitted {
  const name = sensorOfSubject(message.subject);
  const parsed = parseMessage(message.payload, message.storedMs);
  const sensor = name === null ? null : facts.at(name.site, name.key, message.storedMs);
  if (parsed.refusals[0]?.index === -1) return { message, sensor: null, parsed };
  if (sensor === null) {
    const detail =
      name === null
        ? "site or key is not a token of 1 to 64 letters, digits, _ or -"
        : "no sensor of this site and key";
    return {
      message,
      sensor,
      parsed: { ...parsed, readings: [], refusals: [{ index: -1, reason: "unknown_sensor", detail }] },
    };
  }
  return { message, sensor, parsed: refuseTooOld(parsed, message.storedMs, retentionDays) };
}
