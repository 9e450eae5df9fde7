import { expect, it } from "vitest";
import { createRandom } from "./random.ts";
import { judgeBySorted, judgeByThreshold, RECENT_READINGS, slideSorted } from "./robust-threshold.ts";
import { median, medianAbsoluteDeviation } from "./statistics.ts";

it("judges a stream by a window that is kept sorted as it judges each reading by all of it", () => {
  const random = createRandom(11);
  const values: number[] = [];
  const sorted = new Float64Array(RECENT_READINGS);
  let held = 0;
  for (let i = 0; i < 1500; i++) {
    // Ties, plateaus and outliers.
    const value = i % 7 === 0 ? 20 : i % 50 === 0 ? 1000 * random.normal() : Math.round(random.normal() * 20) / 10 + 20;
    const recent = values.slice(-RECENT_READINGS);
    const judged = judgeBySorted(sorted, held, value);
    expect(judged).toEqual(judgeByThreshold(recent, value));
    expect(judged === null ? null : [judged.expected, judged.score]).toEqual(byDefinition(recent, value));
    held = slideSorted(sorted, held, value, held < RECENT_READINGS ? null : values.at(-RECENT_READINGS)!);
    values.push(value);
  }
});

function byDefinition(recent: number[], value: number): [number, number] | null {
  if (recent.length < 10) return null;
  const centre = median(recent);
  return [centre, Math.abs(value - centre) / Math.max(medianAbsoluteDeviation(recent), 1e-6 * Math.abs(centre))];
}
