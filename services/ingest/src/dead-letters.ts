import { keepableText, type DeadLetter } from "@calibration/shared/dead-letters.ts";
import type { Heard } from "@calibration/shared/hear.ts";
import { sensorOfSubject, type Parsed } from "@calibration/shared/reading.ts";
import { publishedSubject } from "@calibration/shared/topology.ts";

/** A message that is refused whole is one letter; a refused element of an array is one of its own, as it was sent. */
export function deadLettersOf(message: Heard, parsed: Parsed): DeadLetter[] {
  const name = sensorOfSubject(message.subject);
  const subject = keepableText(publishedSubject(message.subject));
  const elements = parsed.isArray ? elementsAsSent(Buffer.from(message.payload).toString()) : [];
  return parsed.refusals.map(({ index, reason, detail }) => ({
    subject,
    site: name?.site ?? null,
    key: name?.key ?? null,
    reason,
    detail: keepableText(detail),
    payload: index === -1 || !parsed.isArray ? message.payload : Buffer.from(elements[index]!),
    sequence: message.sequence,
    index,
    receivedMs: message.storedMs,
    traceparent: message.traceparent,
    readings: index === -1 ? parsed.published : 1,
  }));
}

/**
 * The elements of an array as they were sent: written again, what was parsed may be another, as 1e400 is null then.
 * @param text an array that was parsed
 */
export function elementsAsSent(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = 0;
  let isInString = false;
  const endsAt = (at: number): void => {
    found.push(text.slice(from, at).trim());
    from = at + 1;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (isInString) {
      if (character === "\\") at++;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === "[" || character === "{") {
      if (++depth === 1) from = at + 1;
    } else if (character === "]" || character === "}") {
      if (--depth === 0) endsAt(at);
    } else if (character === "," && depth === 1) endsAt(at);
  }
  return found;
}
