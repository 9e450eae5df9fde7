/** Of each sensor the one open alarm that says best why somebody is needed. */
import { SEVERITIES } from "@calibration/shared/anomaly.ts";
import type { Anomaly, Page } from "../../api.ts";

const rank = ({ severity }: Anomaly): number => SEVERITIES.indexOf(severity);

/** The gravest; of those that are equally grave the newest, as the list has them. */
export function worstBySensor({ results }: Page<Anomaly>): ReadonlyMap<number, Anomaly> {
  const worst = new Map<number, Anomaly>();
  for (const alarm of results) {
    const before = worst.get(alarm.sensor_id);
    if (before === undefined || rank(alarm) > rank(before)) worst.set(alarm.sensor_id, alarm);
  }
  return worst;
}
