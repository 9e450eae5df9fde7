/** Which sensors need somebody, and in which order. */
import type { Sensor } from "../../api.ts";
import type { PlantSearch } from "./search.ts";

const RANK: Readonly<Record<Sensor["status"], number>> = { critical: 0, warning: 1, offline: 2, online: 3 };

/** What needs attention comes first: by status, then by open alarms, then by how far it has drifted, then by name. */
export function byAttention(a: Sensor, b: Sensor): number {
  return (
    RANK[a.status] - RANK[b.status] ||
    b.open_alarms - a.open_alarms ||
    Math.abs(b.drift ?? 0) - Math.abs(a.drift ?? 0) ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id)
  );
}

/** Every word that is searched for stands somewhere in what names a sensor. */
export function isSought(sensor: Sensor, { q, site, type, status }: PlantSearch): boolean {
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

export function countStatuses(sensors: readonly Sensor[]): Record<Sensor["status"], number> {
  const counts = { critical: 0, warning: 0, offline: 0, online: 0 };
  for (const { status } of sensors) counts[status]++;
  return counts;
}
