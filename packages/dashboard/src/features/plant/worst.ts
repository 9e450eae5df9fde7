/** Of each sensor the one open alarm that says best why somebody is needed. */
import { SEVERITIES } from "@calibration/shared/anomaly.ts";
import type { Anomaly, Page } from "../../api.ts";

const rank = ({ severity }: Anomaly): number => SEVERITIES.indexOf(severity);

/** The gravest; of those that are equally grave the first, which is the newest as lists have them. */
export function worstOf(alarms: readonly Anomaly[]): Anomaly | undefined {
  let worst: Anomaly | undefined;
  for (const alarm of alarms) if (worst === undefined || rank(alarm) > rank(worst)) worst = alarm;
  return worst;
}

export function worstBySensor({ results }: Page<Anomaly>): ReadonlyMap<number, Anomaly> {
  const bySensor = Map.groupBy(results, ({ sensor_id: id }) => id);
  return new Map([...bySensor].map(([id, alarms]) => [id, worstOf(alarms)!]));
}
