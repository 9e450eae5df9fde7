import { describe, expect, it } from "vitest";
import { createWatch, gapThresholdMs, learntIntervalS, rangeFinding, updateWatch, type Watch } from "./watchers.ts";

const anywhere = { rangeMin: null, rangeMax: null, expectedIntervalS: null, ratePerMinuteMax: null };

function watching(
  values: readonly number[],
  context: Parameters<typeof updateWatch>[2] = anywhere,
): { watch: Watch; rules: string[][] } {
  const watch = createWatch();
  const rules = values.map((value, n) =>
    updateWatch(watch, { timestampMs: n * 60_000, value }, context).map(({ rule }) => rule),
  );
  return { watch, rules };
}
const lively = Array.from({ length: 40 }, (_, n) => 20 + Math.sin(n));

describe("updateWatch", () => {
  it("finds a sensor that stands still, from the sixth equal reading on, and not a moment longer", () => {
    const { rules } = watching([...lively, 20, 20, 20, 20, 20, 20, 20, 21]);
    expect(rules.slice(40).map((found) => found.includes("flat_line"))).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
      true,
      false,
    ]);
  });

  it("leaves a sensor in peace that repeats itself by habit", () => {
    const coarse = Array.from({ length: 200 }, (_, n) => Math.floor(n / 5) % 3);
    expect(watching(coarse).rules.flat()).toEqual([]);
    expect(watching(Array.from({ length: 100 }, () => 7)).rules.flat()).toEqual([]);
  });

  it("knows what an instrument sends in place of a value, and what a sensor really measures", () => {
    expect(watching([...lively, -9999]).rules.at(-1)).toEqual(["sentinel"]);
    expect(watching([...Array.from({ length: 40 }, (_, n) => 900 + 5 * n), 999.9]).rules.at(-1)).toEqual([]);
  });

  it("judges the physical range from the first reading on", () => {
    expect(watching([140], { ...anywhere, rangeMin: 0, rangeMax: 100 }).rules).toEqual([["range"]]);
    expect(rangeFinding(100, { rangeMin: 0, rangeMax: 100 })).toBeNull();
    expect(rangeFinding(-1, { rangeMin: 0, rangeMax: null })?.detail).toMatch(/below the range/);
  });

  it("knows how fast a value can change, and that nothing changes from a sentinel back", () => {
    const tank = { ...anywhere, ratePerMinuteMax: 2 };
    expect(watching([20, 22, 24.5, 23], tank).rules).toEqual([[], [], ["rate"], []]);
    expect(watching([20, 21, 20, 21, -9999, 21], tank).rules.slice(-2)).toEqual([["sentinel"], []]);
    const slow = createWatch();
    updateWatch(slow, { timestampMs: 0, value: 20 }, tank);
    // Half an hour without a reading gives it time for 60.
    expect(updateWatch(slow, { timestampMs: 1_800_000, value: 80 }, tank)).toEqual([]);
    expect(updateWatch(slow, { timestampMs: 1_830_000, value: 85 }, tank)[0]).toMatchObject({
      rule: "rate",
      expected: 80,
      detail: "a change of 10 a minute, where 2 is the most",
    });
  });

  it("learns the interval as a median, and survives JSON", () => {
    const { watch } = watching(lively);
    expect(learntIntervalS(JSON.parse(JSON.stringify(watch)) as Watch)).toBe(60);
    expect(gapThresholdMs(60)).toBe(240_000);
    expect(learntIntervalS(createWatch())).toBeNull();
  });
});
