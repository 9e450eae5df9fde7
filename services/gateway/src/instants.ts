import { parseInstant, readTimestamp, TIMESTAMP_MS_MIN } from "@calibration/shared/reading.ts";
import { invalid } from "./problem.ts";

/** The last instant that has a `Date`. */
const INSTANT_MS_MAX = 8.64e15;

/** A time as the API takes it: ISO 8601 with an offset, or epoch milliseconds (also as text, in a query). */
export function readInstant(path: string, given: string | number): Date {
  const read = readTimestamp(typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given);
  if (typeof read === "string") throw invalid(path, read);
  if (read > INSTANT_MS_MAX) throw invalid(path, "timestamp is beyond what a date can hold");
  return new Date(read);
}

/** Where a filter begins or ends. Nothing is from before 2000: whoever asks from 1970 on asks for all there is. */
export function readBound(path: string, given: string | number | undefined): Date | null {
  if (given === undefined || given === "") return null;
  const text = String(given);
  const boundMs = /^-?\d+$/.test(text) ? Number(text) : parseInstant(text);
  return readInstant(path, boundMs === null ? text : Math.max(boundMs, TIMESTAMP_MS_MIN));
}
