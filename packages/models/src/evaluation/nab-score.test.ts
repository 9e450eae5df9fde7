import { describe, expect, it } from "vitest";
import { normalisedScore, positionWorth, probationOf, scoreSeries } from "./nab-score.ts";

describe("positionWorth", () => {
  it("has the published values of the scoring function", () => {
    expect(positionWorth(-1)).toBeCloseTo(0.98661, 5);
    expect(positionWorth(-2)).toBeCloseTo(0.9999, 4);
    expect(positionWorth(0)).toBe(0);
    expect(positionWorth(0.45)).toBeCloseTo(-0.8093, 4);
    expect(positionWorth(3.01)).toBe(-1);
  });
});

describe("scoreSeries", () => {
  // 1000 readings, of which 150 are probation, and one window of 100.
  const windows = [{ from: 500, to: 599 }];

  it("gives nothing for silence, everything for the first reading of each window", () => {
    expect(probationOf(1000)).toBe(150);
    expect(probationOf(20_000)).toBe(750);
    expect(normalisedScore([scoreSeries(1000, windows, [])])).toBe(0);
    expect(normalisedScore([scoreSeries(1000, windows, [500])])).toBe(100);
  });

  it("agrees with what is worked by hand", () => {
    // Halfway: (599 − 549 + 1) / 100 = 0.51 before the end: tanh(2.5 × 0.51) / tanh(2.5) = 0.85499 / 0.98661.
    expect(scoreSeries(1000, windows, [549, 580]).points).toBeCloseTo(Math.tanh(1.275) / Math.tanh(2.5), 12);
    // A false alarm before any window costs 0.11; ten readings behind the window, tanh(2.5 × 10 / 99) of it.
    expect(scoreSeries(1000, windows, [200]).points).toBeCloseTo(-1 - 0.11, 12);
    expect(scoreSeries(1000, windows, [609]).points).toBeCloseTo(-1 - 0.11 * Math.tanh(250 / 990), 12);
    // Beyond three window lengths it is a false alarm like any other.
    expect(scoreSeries(1000, windows, [599 + 300]).points).toBeCloseTo(-1.11, 12);
    // In probation nothing counts.
    expect(scoreSeries(1000, windows, [10, 149])).toEqual({
      points: -1,
      windows: 1,
      found: 0,
      falseAlarms: 0,
      alarms: 0,
    });
    expect(scoreSeries(1000, windows, [200, 510])).toMatchObject({ found: 1, falseAlarms: 1, alarms: 2 });
  });
});
