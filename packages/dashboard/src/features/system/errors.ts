/** What went wrong with a service's work, in words, by what it counts itself. */
import type { System } from "../../api.ts";
import { formatCount } from "../../format.ts";

/** A model that is missing, or a history that is short, is nothing wrong: these are. */
const MODEL_ERRORS = ["model_damaged", "model_incompatible", "prediction_error"];

export function errorsOf(
  { service, lag, counters, failing_partitions: failing }: System["services"][number],
  training: System["training"],
): string {
  const counted = (prefix: string): number =>
    Object.entries(counters).reduce((sum, [key, count]) => sum + (key.startsWith(prefix) ? count : 0), 0);
  const found: [number, string][] = [
    [failing, failing === 1 ? "partition fails" : "partitions fail"],
    [counted("dead/"), "dead letters ever"],
    ...MODEL_ERRORS.map((reason): [number, string] => [
      counted(`fallback/${reason}`),
      `answered without the model (${reason.replaceAll("_", " ")})`,
    ]),
    ...(service === "trainer" ? [[training.failed_last_day, "failed in the last day"] as [number, string]] : []),
  ];
  const words = found.filter(([count]) => count > 0).map(([count, what]) => `${formatCount(count)} ${what}`);
  if (words.length > 0) return words.join(", ");
  return lag === null && service !== "trainer" ? "–" : "none";
}
