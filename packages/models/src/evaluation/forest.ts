/** Labelled rows for the isolation forest, and the area under its curve: what the bench compares with scikit-learn, and the tests hold. */
import { createRandom } from "../random.ts";

/** Value, hour and weekday. */
export const COLUMNS = 3;
const ANOMALOUS_SHARE = 0.02;

/** A reading a minute with a daily rhythm; 2 % of them gross or slight spikes, drop-outs, or right for another time of the day. */
export function makeReadings(count: number, seed: number): { rows: Float64Array; labels: boolean[] } {
  const random = createRandom(seed);
  const rows = new Float64Array(count * COLUMNS);
  const labels: boolean[] = [];
  for (let i = 0; i < count; i++) {
    const hour = Math.floor(i / 60) % 24;
    const weekday = Math.floor(i / 1440) % 7;
    const usualAt = (h: number): number => 20 + 5 * Math.sin((h / 24) * 2 * Math.PI) - (weekday >= 5 ? 2 : 0);
    let value = usualAt(hour) + random.normal();
    const anomalous = random.float() < ANOMALOUS_SHARE;
    if (anomalous) {
      const kind = random.integer(4);
      if (kind === 0) value += (random.float() < 0.5 ? -1 : 1) * (8 + 8 * random.float());
      else if (kind === 1) value += (random.float() < 0.5 ? -1 : 1) * (4 + 2 * random.float());
      else if (kind === 2) value = 0;
      else value = usualAt(hour + 12) + random.normal();
    }
    labels.push(anomalous);
    rows.set([value, hour, weekday], i * COLUMNS);
  }
  return { rows, labels };
}

/** The chance that an anomalous reading scores above a usual one; ties count half. */
export function areaUnderCurve(values: readonly number[], labels: readonly boolean[]): number {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  let usual = 0;
  let wins = 0;
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    const tied = order.slice(from, to);
    const strange = tied.filter((i) => labels[i]).length;
    wins += strange * (usual + (tied.length - strange) / 2);
    usual += tied.length - strange;
    from = to;
  }
  return wins / usual / (order.length - usual);
}
