import { readTimestamp } from "@calibration/shared/reading.ts";
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

export const readOptionalInstant = (path: string, given: string | number | undefined): Date | null =>
  given === undefined || given === "" ? null : readInstant(path, given);
