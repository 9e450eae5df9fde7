/** When a sensor leaves its tolerance, if it goes on as it does. */
import type { DriftPrediction } from "../../api.ts";
import { formatDuration, formatValue } from "../../format.ts";

const HOUR_MS = 3_600_000;

/** A sentence that begins with a space; nothing where no tolerance is given, or nothing can be said. */
export function toleranceWords(
  { time_to_tolerance: times }: Pick<DriftPrediction, "time_to_tolerance">,
  tolerance: number | null,
  unit: string,
): string {
  if (tolerance === null || typeof times !== "object" || times === null) return "";
  // Hours until it may leave it, probably does, and surely has; null: not within the forecast's reach.
  const { t10, t50 } = times as { t10?: number | null; t50?: number | null };
  const allowed = `its tolerance of ± ${formatValue(tolerance)} ${unit}`;
  if (typeof t50 === "number") return ` Going on like this it leaves ${allowed} in ${formatDuration(t50 * HOUR_MS)}.`;
  if (typeof t10 === "number") return ` It may leave ${allowed} in ${formatDuration(t10 * HOUR_MS)}.`;
  return ` It stays within ${allowed} as far as can be seen.`;
}
