import { keepableText, type DeadLetter } from "@calibration/shared/dead-letters.ts";
import type { Heard } from "@calibration/shared/hear.ts";
import { elementsOf, sensorOfSubject, type Parsed } from "@calibration/shared/reading.ts";
import { publishedSubject } from "@calibration/shared/topology.ts";

/** A message that is refused whole is one letter; a refused element of an array is one of its own, as it was sent. */
export function deadLettersOf(message: Heard, parsed: Parsed): DeadLetter[] {
  const name = sensorOfSubject(message.subject);
  const subject = keepableText(publishedSubject(message.subject));
  const elements = parsed.isArray ? elementsOf(message.payload) : [];
  return parsed.refusals.map(({ index, reason, detail }) => ({
    subject,
    site: name?.site ?? null,
    key: name?.key ?? null,
    reason,
    detail: keepableText(detail),
    payload: index === -1 || !parsed.isArray ? message.payload : Buffer.from(JSON.stringify(elements[index])),
    sequence: message.sequence,
    index,
    receivedMs: message.storedMs,
    traceparent: message.traceparent,
    readings: index === -1 ? parsed.published : 1,
  }));
}
