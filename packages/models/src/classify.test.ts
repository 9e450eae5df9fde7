import { describe, expect, it } from "vitest";
import { classifyEpisode, type ClassifyContext, type Verdict } from "./classify.ts";
import { createRandom } from "./random.ts";
import { SENTINELS } from "./watchers.ts";

const MINUTES_5 = 300_000;
const context: ClassifyContext = {
  intervalS: 300,
  sentinels: SENTINELS,
  rangeMin: null,
  rangeMax: null,
  tolerance: null,
  lastCalibrationMs: null,
  hourOf: (timestampMs) => Math.floor(timestampMs / 3_600_000) % 24,
};

/** Four days of a daily rhythm with noise; `fault` changes what comes after the alarm at reading 1000. */
function classified(
  fault: (value: number, since: number, noise: () => number) => number,
  { after = 24, seed = 1, change = {} }: { after?: number; seed?: number; change?: Partial<ClassifyContext> } = {},
): Verdict {
  const random = createRandom(seed);
  const times = Array.from({ length: 1001 + after }, (_, n) => n * MINUTES_5);
  const values = times.map((timeMs, n) => {
    const usual = 50 + 5 * Math.sin((timeMs / 86_400_000) * 2 * Math.PI) + random.normal();
    return n < 1000 ? usual : fault(usual, n - 1000, () => random.normal());
  });
  return classifyEpisode(times, values, 1000, 1000 + after, { ...context, ...change });
}

describe("classifyEpisode", () => {
  it.each([
    ["Spike", (value: number, since: number) => (since === 0 ? value + 12 : value)],
    ["Noise", (value: number, _: number, noise: () => number) => value + 6 * noise()],
    ["Calibration Error", (value: number) => value + 8],
    ["Dropout", () => 50],
  ] as const)("knows a %s", (type, fault) => {
    for (let seed = 1; seed <= 5; seed++) expect(classified(fault, { seed }).type).toBe(type);
  });

  it("does not call noise what is usual: hours of calm, and then not", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = createRandom(seed);
      const times = Array.from({ length: 1025 }, (_, n) => n * MINUTES_5);
      const values = times.map((_, n) => 50 + (n % 120 < 90 ? 0.3 : 2) * random.normal() + (n === 1000 ? 15 : 0));
      expect(classifyEpisode(times, values, 1000, 1024, context).type).toBe("Spike");
    }
  });

  it("counts a stand-still from its begin, however long before the alarm", () => {
    const random = createRandom(1);
    const times = Array.from({ length: 1025 }, (_, n) => n * MINUTES_5);
    const values = times.map((_, n) => (n > 950 && n < 1010 ? 50 : Math.round(50 + 3 * random.normal())));
    expect(classifyEpisode(times, values, 1000, 1024, context)).toMatchObject({
      type: "Dropout",
      statistics: { flat: 59 },
    });
  });

  it("measures a sensor that mostly stands still by its usual step", () => {
    const times = Array.from({ length: 1025 }, (_, n) => n * MINUTES_5);
    const values = times.map((_, n) => (n >= 1000 ? 12 : n % 9 === 0 ? 11 : 10));
    expect(classifyEpisode(times, values, 1000, 1002, context).deviationSigmas).toBeLessThan(5);
  });

  it("knows a drift once it has gone somewhere", () => {
    for (let seed = 1; seed <= 5; seed++)
      expect(classified((value, since) => value + since * 0.12, { after: 96, seed }).type).toBe("Drift");
  });

  it("takes sentinels for a dropout, and nothing for nothing", () => {
    expect(classified((value, since) => (since < 3 ? -9999 : value)).type).toBe("Dropout");
    expect(classified((value) => value).type).toBeNull();
  });

  it("grades by size, by tolerance and by the physical range", () => {
    expect(classified((value) => value + 30).severity).toBe("Critical");
    expect(classified((value) => value + 8, { change: { tolerance: 100 } }).severity).toBe("Medium");
    expect(classified((value) => value + 8, { change: { tolerance: 3 } }).severity).toBe("Critical");
    expect(classified((value) => value + 8, { change: { rangeMin: 0, rangeMax: 50 } }).severity).toBe("Critical");
    expect(classified((value, since) => (since === 0 ? value + 500 : value)).severity).toBe("High");
  });
});
