/** Which anomalies are shown, as the address bar keeps it; what is not said is the default: alarms that are open. */
import { ANOMALY_TYPES, SEVERITIES } from "@calibration/shared/anomaly.ts";
import type { AnomalyFilter } from "../../queries.ts";

export interface AnomalySearch {
  /** The forest's flags too, not alarms alone. */
  flags?: true;
  state?: "resolved" | "all";
  severity?: string;
  type?: string;
  /** Not older than so many hours. */
  hours?: number;
  sensor?: number;
}

export function readAnomalySearch(given: Record<string, unknown>): AnomalySearch {
  const kept: AnomalySearch = {};
  if (given["flags"] === true || given["flags"] === "true") kept.flags = true;
  if (given["state"] === "resolved" || given["state"] === "all") kept.state = given["state"];
  const { severity, type } = given;
  if (SEVERITIES.some((one) => one === severity)) kept.severity = severity as string;
  if (ANOMALY_TYPES.some((one) => one === type)) kept.type = type as string;
  for (const name of ["hours", "sensor"] as const) {
    const value = Number(given[name]);
    if (given[name] !== undefined && Number.isInteger(value) && value > 0) kept[name] = value;
  }
  return kept;
}

/** `nowMs` is rounded by whoever asks: a filter that moves with every second would be asked for anew with every second. */
export function filterOf({ flags, state, severity, type, hours, sensor }: AnomalySearch, nowMs: number): AnomalyFilter {
  return {
    ...(flags === true ? {} : { alarm: true }),
    ...(state === "all" ? {} : { resolved: state === "resolved" }),
    ...(severity === undefined ? {} : { severity }),
    ...(type === undefined ? {} : { type }),
    ...(hours === undefined ? {} : { from: new Date(nowMs - hours * 3_600_000).toISOString() }),
    ...(sensor === undefined ? {} : { sensor_id: sensor }),
  };
}
