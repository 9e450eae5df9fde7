import { createRandom } from "@calibration/models/random.ts";
import { describe, expect, it } from "vitest";
import { createMemory, decodeMemory, encodeMemory, fold, isAmongRecent, recentReadings, RECENT_MAX } from "./memory.ts";

const CONTEXT = {
  rangeMin: null,
  rangeMax: null,
  expectedIntervalS: null,
  ratePerMinuteMax: null,
  alarmsPerMonth: 2.91,
};
const FIRST_MS = Date.UTC(2026, 0, 1);

function filled(readings: number, intervalMs: number) {
  const random = createRandom(3);
  const memory = createMemory();
  const times = Array.from({ length: readings }, (_, i) => FIRST_MS + i * intervalMs);
  for (const timestampMs of times) fold(memory, timestampMs, 20 + random.normal(), timestampMs / 1000, CONTEXT);
  return { memory, times };
}

describe("the memory of a sensor", () => {
  // A reading a minute, one an hour (89 days: beyond 32 bits of milliseconds), one a week.
  it.each([60_000, 3_600_000, 7 * 86_400_000])("holds its recent readings, one every %d ms", (intervalMs) => {
    const { memory, times } = filled(RECENT_MAX + 500, intervalMs);
    expect([...recentReadings(memory, RECENT_MAX).times]).toEqual(times.slice(-RECENT_MAX));
    expect(isAmongRecent(memory, times.at(-1)!)).toBe(true);
    expect(isAmongRecent(memory, times.at(-RECENT_MAX)!)).toBe(true);
    expect(isAmongRecent(memory, times.at(-RECENT_MAX - 1)!)).toBe(false);
    expect(isAmongRecent(memory, times.at(-1)! + 1)).toBe(false);
  });

  it.each([60_000, 3_600_000])(
    "goes on from its snapshot as if nothing had happened, one every %d ms",
    (intervalMs) => {
      const { memory } = filled(5000, intervalMs);
      const resumed = decodeMemory(encodeMemory(memory));
      const random = createRandom(4);
      for (let i = 5000; i < 6000; i++) {
        const [timestampMs, value] = [FIRST_MS + i * intervalMs, 20 + 2 * random.normal()];
        const a = fold(memory, timestampMs, value, timestampMs / 1000, CONTEXT);
        const b = fold(resumed, timestampMs, value, timestampMs / 1000, CONTEXT);
        expect(b).toEqual(a);
      }
      expect(Buffer.from(encodeMemory(resumed)).equals(Buffer.from(encodeMemory(memory)))).toBe(true);
    },
  );
});
