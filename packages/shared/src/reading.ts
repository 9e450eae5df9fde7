/**
 * What a plant gateway may say, and which of it is admitted. One pure function, called by every service on the same
 * message, so that they agree without talking; it judges time against the instant NATS stored the message.
 */
import { PAYLOAD_BYTES_MAX, READINGS_PER_MESSAGE_MAX, TOKEN_PATTERN } from "./topology.ts";

export type Quality = "good" | "uncertain" | "bad";
export const QUALITIES: readonly Quality[] = ["good", "uncertain", "bad"];

/** One value, one sensor, one instant. `timestampMs` is the sensor's clock, to the millisecond. */
export interface Reading {
  timestampMs: number;
  value: number;
  quality: Quality;
}

export const DEAD_REASONS = [
  "invalid_json",
  "invalid_reading",
  "unknown_sensor",
  "future_timestamp",
  "too_old",
  "too_large",
  "processing_failed",
] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

export interface Refusal {
  /** The element's place in the array; -1 for the whole message. */
  index: number;
  reason: DeadReason;
  detail: string;
}

export interface Parsed {
  /** An array was sent, so the answer is an array too. */
  isArray: boolean;
  readings: Reading[];
  refusals: Refusal[];
  /** How many readings the message claimed to carry; a message that cannot be read counts as one. */
  published: number;
}

/** Plants' clocks run ahead a little; beyond this a timestamp is a mistake. */
export const AHEAD_MS_MAX = 5 * 60_000;
/** 2000-01-01T00:00:00Z: anything earlier is a clock that was never set, or seconds taken for milliseconds. */
export const TIMESTAMP_MS_MIN = 946_684_800_000;

const ISO_8601 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d{2}(?::?\d{2})?)$/;
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The day of the instant read last: readings come in order, so it is nearly always the next one's too. */
let lastDay = "";
let lastDayMs = 0;

/** Epoch milliseconds of an ISO 8601 instant with an offset, or null. Stricter than `Date.parse`, which accepts guesses. */
export function parseInstant(text: string): number | null {
  return parseUsual(text) ?? parseAny(text);
}

/** `YYYY-MM-DDTHH:MM:SS.mmmZ`, as machines write it, on the day of the one before; null: to be looked at closely. */
function parseUsual(text: string): number | null {
  if (text.length !== 24 || !text.startsWith(lastDay) || lastDay === "") return null;
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  const hundredths = twoDigits(text, 20);
  const thousandths = text.charCodeAt(22) - ZERO;
  const isUsual =
    text.charCodeAt(10) === LETTER_T &&
    text.charCodeAt(13) === COLON &&
    text.charCodeAt(16) === COLON &&
    text.charCodeAt(19) === POINT &&
    text.charCodeAt(23) === LETTER_Z &&
    hour < 24 &&
    minute < 60 &&
    second < 60 &&
    thousandths >= 0 &&
    thousandths < 10;
  return isUsual && hundredths < 100
    ? lastDayMs + hour * 3_600_000 + minute * 60_000 + second * 1000 + hundredths * 10 + thousandths
    : null;
}

const ZERO = "0".charCodeAt(0);
const COLON = ":".charCodeAt(0);
const POINT = ".".charCodeAt(0);
const LETTER_T = "T".charCodeAt(0);
const LETTER_Z = "Z".charCodeAt(0);

/** 0 to 99; NaN where one is no digit. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO;
  const ones = text.charCodeAt(at + 1) - ZERO;
  return tens >= 0 && tens < 10 && ones >= 0 && ones < 10 ? tens * 10 + ones : NaN;
}

function parseAny(text: string): number | null {
  const match = ISO_8601.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction, offset] = match;
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second ?? "0"].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const leap = mo === 2 && y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0) ? 1 : 0;
  if (mo < 1 || mo > 12 || d < 1 || d > DAYS_OF_MONTH[mo - 1]! + leap || h > 23 || mi > 59 || s > 59) return null;
  const milliseconds = Number((fraction ?? "0").padEnd(3, "0").slice(0, 3));
  let offsetMinutes = 0;
  if (offset !== undefined && offset !== "Z" && offset !== "z") {
    const offsetHours = Number(offset.slice(1, 3));
    const rest = Number(offset.slice(3).replace(":", "") || "0");
    if (offsetHours > 23 || rest > 59) return null;
    offsetMinutes = (offset[0] === "-" ? -1 : 1) * (offsetHours * 60 + rest);
  }
  const dayMs = Date.UTC(y, mo - 1, d);
  lastDay = text.slice(0, 10);
  lastDayMs = dayMs;
  return dayMs + h * 3_600_000 + mi * 60_000 + s * 1000 + milliseconds - offsetMinutes * 60_000;
}

/** The minute of the instant written last, as text up to its seconds. */
let writtenMinuteMs = NaN;
let writtenMinute = "";
const DIGITS = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, "0"));

/** What `toISOString` writes, for instants that mostly come in order: a tenth of its cost within a minute. */
export function formatInstant(timestampMs: number): string {
  const minuteMs = Math.floor(timestampMs / 60_000) * 60_000;
  if (minuteMs !== writtenMinuteMs) {
    writtenMinute = new Date(minuteMs).toISOString().slice(0, -7);
    writtenMinuteMs = minuteMs;
  }
  const inMinute = timestampMs - minuteMs;
  const second = Math.floor(inMinute / 1000);
  return `${writtenMinute}${DIGITS[second]!.slice(1)}.${DIGITS[Math.floor(inMinute - second * 1000)]!}Z`;
}

/** A timestamp as it may be sent: ISO 8601 with an offset, or epoch milliseconds. A string is why it is not one. */
export function readTimestamp(given: unknown): number | string {
  let timestampMs: number | null;
  if (typeof given === "number") {
    if (!Number.isFinite(given)) return "timestamp is not a finite number";
    timestampMs = Math.floor(given);
  } else if (typeof given === "string") {
    timestampMs = parseInstant(given);
    if (timestampMs === null) return "timestamp is not ISO 8601 with an offset";
  } else return "timestamp must be ISO 8601 text or epoch milliseconds";
  if (timestampMs < TIMESTAMP_MS_MIN) return "timestamp is before the year 2000";
  return timestampMs;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a payload. `storedMs` stands in for the time a single reading may lack. Never throws. */
export function parseMessage(payload: Uint8Array, storedMs: number): Parsed {
  if (payload.length > PAYLOAD_BYTES_MAX) {
    return refusedWhole("too_large", `${payload.length} bytes, at most ${PAYLOAD_BYTES_MAX}`);
  }
  let body: unknown;
  try {
    body = JSON.parse(utf8.decode(payload));
  } catch (error) {
    return refusedWhole("invalid_json", (error as Error).message);
  }
  const isArray = Array.isArray(body);
  const elements = isArray ? (body as unknown[]) : [body];
  if (elements.length === 0) return refusedWhole("invalid_reading", "an empty array");
  if (elements.length > READINGS_PER_MESSAGE_MAX) {
    return {
      ...refusedWhole("too_large", `${elements.length} readings, at most ${READINGS_PER_MESSAGE_MAX}`),
      published: elements.length,
    };
  }
  const readings: Reading[] = [];
  const refusals: Refusal[] = [];
  const timeMayLack = elements.length === 1;
  for (let index = 0; index < elements.length; index++) {
    const reading = readElement(elements[index], timeMayLack ? storedMs : null);
    if (typeof reading !== "string") {
      if (reading.timestampMs > storedMs + AHEAD_MS_MAX) {
        refusals.push({
          index,
          reason: "future_timestamp",
          detail: `${new Date(reading.timestampMs).toISOString()} is more than ${AHEAD_MS_MAX / 60_000} minutes ahead`,
        });
      } else readings.push(reading);
    } else refusals.push({ index, reason: "invalid_reading", detail: reading });
  }
  return { isArray, readings, refusals, published: elements.length };
}

function refusedWhole(reason: DeadReason, detail: string): Parsed {
  return { isArray: false, readings: [], refusals: [{ index: -1, reason, detail }], published: 1 };
}

/** One reading, or why it is none. */
export function readElement(element: unknown, timeWhenLacking: number | null): Reading | string {
  if (typeof element !== "object" || element === null || Array.isArray(element)) return "a reading is a JSON object";
  const { value, timestamp, quality } = element as { value?: unknown; timestamp?: unknown; quality?: unknown };
  if (typeof value !== "number" || !Number.isFinite(value)) return "value must be a finite number";
  let timestampMs: number | string;
  if (timestamp === undefined || timestamp === null) {
    if (timeWhenLacking === null) return "timestamp is required in an array of several";
    timestampMs = timeWhenLacking;
  } else timestampMs = readTimestamp(timestamp);
  if (typeof timestampMs === "string") return timestampMs;
  if (timestampMs > 8.64e15) return "timestamp is beyond what a date can hold";
  if (quality === undefined || quality === null) return { timestampMs, value, quality: "good" };
  if (quality !== "good" && quality !== "uncertain" && quality !== "bad") {
    return "quality must be good, uncertain or bad";
  }
  return { timestampMs, value, quality };
}

/** Older than the retention: kept nowhere, so refused with its reason. `retentionDays` 0 keeps for ever. */
export function refuseTooOld(parsed: Parsed, storedMs: number, retentionDays: number): Parsed {
  if (retentionDays === 0 || parsed.readings.length === 0) return parsed;
  const oldestMs = storedMs - retentionDays * 86_400_000;
  const refusals = [...parsed.refusals];
  const readings: Reading[] = [];
  const refusedBefore = new Set(parsed.refusals.map((refusal) => refusal.index));
  let index = -1;
  for (const reading of parsed.readings) {
    do index++;
    while (refusedBefore.has(index));
    if (reading.timestampMs >= oldestMs) readings.push(reading);
    else refusals.push({ index, reason: "too_old", detail: `older than ${retentionDays} days` });
  }
  return { ...parsed, readings, refusals };
}

/** What subjects stand for: they come again and again. */
const known = new Map<string, { site: string; key: string } | null>();
const KNOWN_MAX = 50_000;

/** Site and key of `readings.<partition>.<site>.<key>`; null where a token is outside the pattern. */
export function sensorOfSubject(subject: string): { site: string; key: string } | null {
  let found = known.get(subject);
  if (found === undefined) {
    found = parseSubject(subject);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(subject, found);
  }
  return found;
}

function parseSubject(subject: string): { site: string; key: string } | null {
  const [, , site, key, more] = subject.split(".");
  if (site === undefined || key === undefined || more !== undefined) return null;
  return TOKEN_PATTERN.test(site) && TOKEN_PATTERN.test(key) ? { site, key } : null;
}
