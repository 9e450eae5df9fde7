/** Which sensors want a calibration, by how far they have drifted from when they were known to be right. */
import type { ListedSensor } from "../../queries.ts";

/** |drift| from which the platform itself warns, percent. */
export const DRIFT_WARNING = 5;
/** From this share of its tolerance on a sensor is near it. */
const NEAR = 0.8;
/** Below this share of its range a baseline is next to nothing, and drift is in percent of the range. */
const BASELINE_SHARE_MIN = 0.01;

export interface Due {
  sensor: ListedSensor;
  verdict: "due" | "near" | "fine";
  /** How far it is off, in the sensor's unit; null where percent is all there is. */
  off: number | null;
}

export function dueOf(sensor: ListedSensor): Due | null {
  const { drift, settings } = sensor;
  if (drift === null) return null;
  const off = offOf(sensor);
  const { tolerance } = settings;
  // How much of what is allowed is used up.
  const used = tolerance !== null && off !== null ? Math.abs(off) / tolerance : Math.abs(drift) / DRIFT_WARNING;
  return { sensor, off, verdict: used >= 1 ? "due" : used >= NEAR ? "near" : "fine" };
}

function offOf({ drift, baseline, range_min: low, range_max: high }: ListedSensor): number | null {
  if (drift === null || baseline === null) return null;
  if (low !== null && high !== null && Math.abs(baseline) < BASELINE_SHARE_MIN * (high - low)) return null;
  return (drift / 100) * Math.abs(baseline);
}

const RANK: Readonly<Record<Due["verdict"], number>> = { due: 0, near: 1, fine: 2 };

/** All that are due or near it, and of the others those that drift most, up to `atLeast` in all. */
export function whatIsDue(sensors: readonly ListedSensor[], atLeast: number): Due[] {
  return sensors
    .flatMap((sensor) => dueOf(sensor) ?? [])
    .toSorted(
      (a, b) =>
        RANK[a.verdict] - RANK[b.verdict] ||
        Math.abs(b.sensor.drift ?? 0) - Math.abs(a.sensor.drift ?? 0) ||
        a.sensor.id - b.sensor.id,
    )
    .filter(({ verdict }, index) => verdict !== "fine" || index < atLeast);
}
