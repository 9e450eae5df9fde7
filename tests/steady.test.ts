import { createRandom } from "@calibration/models/random.ts";
import { expect, it } from "vitest";
import { steadinessOf, tableOf } from "./support/steady.ts";

const FIGURE = { name: "memory", unit: "MB", perHourMax: 5 };

/** Ten minutes, each five seconds: what a process holds, with the noise that it has. */
function samplesOf(perHour: number): [number, number][] {
  const random = createRandom(7);
  return Array.from({ length: 120 }, (_, n) => [n * 5, 60 + random.normal() + (perHour * n * 5) / 3_600]);
}

it("noise is no growth, and a leak within the noise is one", () => {
  expect(steadinessOf(FIGURE, samplesOf(0)).grows).toBe(false);
  expect(steadinessOf(FIGURE, samplesOf(-100)).grows).toBe(false);
  const leak = steadinessOf(FIGURE, samplesOf(20));
  expect(leak.grows).toBe(true);
  expect(leak.perHour).toBeGreaterThan(10);
  expect(tableOf([leak])).toMatch(/✗ memory, MB .* 5$/);
});
