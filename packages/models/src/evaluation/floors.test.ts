/**
 * What the models promise, as floors: fixed seeds, so a figure moves only if a model does. Each floor lies a little under what is reached,
 * for a change that is as good on other seeds may lose a case or two on these. `npm run evaluate` has the same on any seeds.
 */
import { describe, expect, it } from "vitest";
import { THETA_DEFAULT } from "../novelty.ts";
import { CALIBRATION_WORLDS, runCalibration } from "./calibration.ts";
import { DRIFT_KINDS, DRIFT_WORLDS, runDrift, summariseDrift } from "./drift.ts";
import { FAULT_TYPES, rankCorrelation, runFault } from "./faults.ts";

const SEED = 1;

describe("injected faults", () => {
  const COUNT = 12;
  const cases = FAULT_TYPES.flatMap((type) =>
    Array.from({ length: COUNT }, (_, n) => runFault(type, SEED + n, THETA_DEFAULT)),
  );
  const detected = cases.filter((one) => one.detected);

  it("are found, and called by their name", () => {
    // All of them; a spike or two of the smallest may be missed.
    expect(detected.length / cases.length).toBeGreaterThanOrEqual(0.95);
    // 98 % on these and on 300 others; 95 % is what is promised, two more of 60 are allowed to chance.
    for (const k of [0, 1, 2]) {
      const right = detected.filter(({ truth, types }) => types[k] === truth).length;
      expect(right / detected.length).toBeGreaterThanOrEqual(0.95);
    }
  });

  it("come seldom where there are none", () => {
    const falseAlarms = cases.reduce((sum, one) => sum + one.falseAlarms, 0);
    const days = cases.reduce((sum, one) => sum + one.usualDays, 0);
    // 0.18 a sensor-day on 40 signals; three in ten of them have a weekend unlike the week, which the first Saturday cannot know.
    expect(falseAlarms / days).toBeLessThanOrEqual(0.25);
    // About one on the day that the detector begins to speak.
    expect(cases.reduce((sum, one) => sum + one.youngAlarms, 0) / cases.length).toBeLessThanOrEqual(1.5);
  });

  it("are graded by their size", () => {
    const steps = detected.filter(({ truth }) => truth === "Calibration Error");
    const r = rankCorrelation(
      steps.map(({ size }) => size),
      steps.map(({ deviations }) => deviations[1]!),
    );
    expect(r).toBeGreaterThanOrEqual(0.6);
  });
});

describe("drift forecasts", () => {
  it("are better than the last value, and inside their bands as often as they say", () => {
    const runs = DRIFT_KINDS.flatMap((kind) =>
      Array.from({ length: 8 }, (_, n) => ({ kind, errors: runDrift(kind, SEED + n, DRIFT_WORLDS.clear).blend })),
    );
    const at = new Map(summariseDrift(runs).map((one) => [one.horizon, one]));
    // 47 % and 71 % on these eight of each kind, 53 and 70 on 48, where 56 and 72 could be reached at all.
    expect(at.get(24)!.skill).toBeGreaterThanOrEqual(0.45);
    expect(at.get(168)!.skill).toBeGreaterThanOrEqual(0.68);
    // 92 % of each; on 48 of each kind 92 to 94 %. At an hour ahead eight are too few to tell.
    for (const horizon of [6, 24, 72, 168, 336]) expect(at.get(horizon)!.coverage).toBeGreaterThanOrEqual(0.88);
  });
});

describe("calibrations", () => {
  it("stand a bad entry in ten, which plain least squares does not", () => {
    const world = CALIBRATION_WORLDS.find(({ badShare }) => badShare > 0)!;
    const runs = Array.from({ length: 40 }, (_, n) => runCalibration(world, 15, SEED + n));
    const mean = (name: "own" | "leastSquares"): number => runs.reduce((sum, run) => sum + run[name], 0) / runs.length;
    // 0.25 is what is promised, on 300 sensors.
    expect(mean("own")).toBeLessThanOrEqual(0.3);
    expect(mean("leastSquares")).toBeGreaterThan(3 * mean("own"));
  });
});
