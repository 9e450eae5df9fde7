import { describe, expect, it } from "vitest";
import { observedPerMonth, promisedAlarmsPerMonth, thetaForBudget } from "./false-alarm-budget.ts";

describe("a false-alarm budget", () => {
  it("is kept by the threshold that was measured to keep it", () => {
    expect(thetaForBudget(2.73)).toBeCloseTo(5.5, 9);
    for (const budget of [0.5, 1, 2, 5]) expect(promisedAlarmsPerMonth(thetaForBudget(budget))).toBeCloseTo(budget, 9);
  });

  it("promises what was measured, and not more, beyond it", () => {
    expect(thetaForBudget(1000)).toBe(4.5);
    expect(promisedAlarmsPerMonth(thetaForBudget(1000))).toBeCloseTo(5.91, 9);
    expect(promisedAlarmsPerMonth(thetaForBudget(0.01))).toBeCloseTo(0.24, 9);
  });

  it("is kept by the sensor's own history as its days go by", () => {
    const restless = { days: 30, alarms: [21, 13, 11, 4, 2, 0] };
    expect(thetaForBudget(2.73, restless)).toBeCloseTo(6.3088, 4);
    expect(promisedAlarmsPerMonth(thetaForBudget(2.73, restless), restless)).toBeCloseTo(2.73, 9);
    // As many alarms in a year are fewer than the corpus had.
    expect(thetaForBudget(2.73, { ...restless, days: 365 })).toBe(4.5);
    // One alarm may be a true one, and changes nothing but by its days.
    const failedOnce = { days: 10, alarms: [1, 1, 1, 1, 1, 1] };
    expect(thetaForBudget(1, failedOnce)).toBe(thetaForBudget(1, { days: 10, alarms: [0, 0, 0, 0, 0, 0] }));
    // What a low threshold's silence hid, it would have told all the same.
    expect(thetaForBudget(1, { days: 30, alarms: [2, 3, 3, 1, 0, 0] })).toBeGreaterThan(5.5);
  });

  it("is held against what was seen, from a day on", () => {
    expect(observedPerMonth(2, 20)).toBe(3);
    expect(observedPerMonth(2, 0.5)).toBeNull();
  });
});
