/** Which sensors need somebody, in which order, and which of them somebody looks for. */
import { SENSOR_STATUSES, type SensorStatus, type SensorType } from "./sensor.ts";

export interface Attended {
  id: number;
  name: string;
  key: string;
  site: string;
  type: SensorType;
  status: SensorStatus;
  /** Percent; null where it is not known. */
  drift: number | null;
  open_alarms: number;
}

/** What is looked for; what is left out, or undefined, is no condition. */
export interface Sought {
  /** Words that stand in what names a sensor, each anywhere. */
  q?: string | undefined;
  site?: string | undefined;
  type?: string | undefined;
  status?: string | undefined;
}

const RANK: Readonly<Record<SensorStatus, number>> = { critical: 0, warning: 1, offline: 2, online: 3 };

/** What needs attention comes first: by status, then by open alarms, then by how far it has drifted, then by name. */
export function byAttention(a: Omit<Attended, "key" | "site" | "type">, b: typeof a): number {
  return (
    RANK[a.status] - RANK[b.status] ||
    b.open_alarms - a.open_alarms ||
    Math.abs(b.drift ?? 0) - Math.abs(a.drift ?? 0) ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id)
  );
}

/** Every word that is searched for stands somewhere in what names a sensor. */
export function isSought(sensor: Omit<Attended, "drift" | "open_alarms">, { q, site, type, status }: Sought): boolean {
  if (site !== undefined && sensor.site !== site) return false;
  if (type !== undefined && sensor.type !== type) return false;
  if (status !== undefined && sensor.status !== status) return false;
  if (q === undefined) return true;
  const text = `${sensor.name} ${sensor.id} ${sensor.key} ${sensor.site} ${sensor.type}`.toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function countStatuses(sensors: readonly Pick<Attended, "status">[]): Record<SensorStatus, number> {
  const counts = Object.fromEntries(SENSOR_STATUSES.map((status) => [status, 0])) as Record<SensorStatus, number>;
  for (const { status } of sensors) counts[status]++;
  return counts;
}
