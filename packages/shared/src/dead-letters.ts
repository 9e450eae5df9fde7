/** What could not be used: kept whole, and told on DEAD_LETTERS. */
import type { Telling } from "./bus.ts";
import type { DeadReason } from "./reading.ts";
import { subjects } from "./topology.ts";

/** A letter's message carries at most this much of the payload; the table has all of it. */
const TOLD_BYTES_MAX = 64 * 1024;

export interface DeadLetter {
  /** As it was published: without the partition. */
  subject: string;
  /** Null, with the key, where a token is outside the pattern. */
  site: string | null;
  key: string | null;
  reason: DeadReason;
  detail: string;
  payload: Uint8Array;
  sequence: number;
  /** The element's place in its array; -1 for a whole message, below that one that a service gave up. */
  index: number;
  receivedMs: number;
  traceparent: string | null;
  /** How many readings it stands for. */
  readings: number;
}

/** What stands beside a payload, as a column of text can hold it: a parser quotes what it met, and PostgreSQL takes no NUL. */
export const keepableText = (text: string): string => text.replaceAll("\0", "\\0");

/** What is said of a letter that was kept as row `id`. */
export function deadLetterTelling(id: number, letter: DeadLetter, streamCreated: string): Telling {
  const told = letter.payload.subarray(0, TOLD_BYTES_MAX);
  const text = utf8Of(letter.payload, told);
  return {
    subject:
      letter.site === null || letter.key === null
        ? subjects.deadUnparsable
        : subjects.deadLetter(letter.site, letter.key),
    id: `dead-${streamCreated}-${letter.sequence}-${letter.index}`,
    traceparent: letter.traceparent,
    body: JSON.stringify({
      id,
      subject: letter.subject,
      reason: letter.reason,
      detail: letter.detail,
      payload: text ?? Buffer.from(told).toString("base64"),
      ...(text === null ? { payload_encoding: "base64" } : {}),
      payload_truncated: told.length < letter.payload.length,
      stream_sequence: letter.sequence,
      received_at: new Date(letter.receivedMs).toISOString(),
    }),
  };
}

/** The told part as text where the whole is UTF-8; a character cut in two at the end is left out. */
function utf8Of(whole: Uint8Array, told: Uint8Array): string | null {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(whole);
  } catch {
    return null;
  }
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(told, { stream: true });
}
