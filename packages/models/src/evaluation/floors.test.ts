/**
 * What the models promise, as floors: fixed seeds, so a figure moves only if a model does. Each floor lies a little under what is reached,
 * for a change that is as good on other seeds may lose a case or two on these. `npm run evaluate` has the same on any seeds.
 */
import { describe, expect, it } from "vitest";
import { fitIsolationForest, scoreRows } from "../isolation-forest.ts";
import { THETA_DEFAULT } from "../novelty.ts";
import { createRandom, type Random } from "../random.ts";
import { CALIBRATION_WORLDS, runCalibration } from "./calibration.ts";
import { DRIFT_KINDS, DRIFT_WORLDS, runDrift, summariseDrift } from "./drift.ts";
import { FAULT_TYPES, rankCorrelation, runFault, runRecordedFault, type Recording } from "./faults.ts";
import { areaUnderCurve, makeReadings } from "./forest.ts";

const SEED = 1;
const SEVERITIES = ["Low", "Medium", "High", "Critical"];

/** What recorded signals have and the made ones lack: wild hours among calm ones, counts that are mostly the same, heavy tails. */
const RESTLESS: readonly Recording[] = [
  (n: number, random: Random) => 50 + (n % 150 < 110 ? 0.4 : 2) * random.normal(),
  (n: number, random: Random) => Math.round(4 + 3 * Math.sin((n / 288) * 2 * Math.PI) + 0.7 * random.normal()),
  (n: number, random: Random) =>
    20 + 4 * Math.sin((n / 288) * 2 * Math.PI) + random.normal() * (random.float() < 0.04 ? 4 : 1),
].map((valueOf, k) => {
  const random = createRandom(SEED, k);
  return {
    name: `restless ${k}`,
    times: Float64Array.from({ length: 4000 }, (_, n) => n * 300_000),
    values: Float64Array.from({ length: 4000 }, (_, n) => valueOf(n, random)),
    unusual: [],
  };
});

describe("injected faults", () => {
  const COUNT = 12;
  const cases = FAULT_TYPES.flatMap((type) =>
    Array.from({ length: COUNT }, (_, n) => runFault(type, SEED + n, THETA_DEFAULT)),
  );
  const detected = cases.filter((one) => one.detected);

  it("are found, and called by their name", () => {
    // All of them; a spike or two of the smallest may be missed.
    expect(detected.length / cases.length).toBeGreaterThanOrEqual(0.95);
    // 100, 98 and 100 % on these, 97 to 99 % on 300 others; 95 % is what is promised: two more of 60 are allowed to chance.
    for (const k of [0, 1, 2]) {
      const right = detected.filter(({ truth, types }) => types[k] === truth).length;
      expect(right / detected.length).toBeGreaterThanOrEqual(0.95);
    }
  });

  it("come seldom where there are none", () => {
    const falseAlarms = cases.reduce((sum, one) => sum + one.falseAlarms, 0);
    const days = cases.reduce((sum, one) => sum + one.usualDays, 0);
    // 0.155 a sensor-day on these, 0.14 on 300; three in ten of them have a weekend unlike the week, which the first Saturday cannot know.
    expect(falseAlarms / days).toBeLessThanOrEqual(0.2);
    // About one on the day that the detector begins to speak.
    expect(cases.reduce((sum, one) => sum + one.youngAlarms, 0) / cases.length).toBeLessThanOrEqual(1.5);
  });

  it("are graded by their size", () => {
    const off = detected.map(({ severity, severities }) =>
      Math.abs(SEVERITIES.indexOf(severities[1]!) - SEVERITIES.indexOf(severity)),
    );
    // 48 readings after the alarm: 68 % as the size deserves and 93 % within a grade; 70 and 89 % on 300 others.
    expect(off.filter((grades) => grades === 0).length / off.length).toBeGreaterThanOrEqual(0.63);
    expect(off.filter((grades) => grades <= 1).length / off.length).toBeGreaterThanOrEqual(0.86);
    // Size and deviation, by rank: 0.84, 0.84, 0.99 and 0.73 on twelve of each; a drift has hardly begun by then.
    const floors = { Spike: 0.75, Noise: 0.7, "Calibration Error": 0.95, Drift: 0.5 };
    for (const [type, floor] of Object.entries(floors)) {
      const own = detected.filter(({ truth }) => truth === type);
      const r = rankCorrelation(
        own.map(({ size }) => size),
        own.map(({ deviations }) => deviations[1]!),
      );
      expect(r).toBeGreaterThanOrEqual(floor);
    }
  });
});

describe("faults in recordings unlike the made signals", () => {
  it("are called by their name all the same", () => {
    const cases = RESTLESS.flatMap((recording) =>
      FAULT_TYPES.flatMap((type) =>
        Array.from({ length: 4 }, (_, n) => runRecordedFault(type, recording, SEED + n, THETA_DEFAULT)),
      ),
    ).filter((one) => one !== null);
    const found = cases.filter((one) => one.detected);
    const right = (k: number): number => found.filter(({ truth, types }) => types[k] === truth).length;
    // 56 of these 60 found, and 88, 91 and 91 % of those called right; harder than the recordings that `--real` was measured on (93 to 95 %).
    expect(found.length / cases.length).toBeGreaterThanOrEqual(0.88);
    for (const k of [0, 1, 2]) expect(right(k) / found.length).toBeGreaterThanOrEqual(0.84);
  });
});

describe("the isolation forest", () => {
  const { rows } = makeReadings(1000, 7);
  const scored = makeReadings(10_000, 8);
  const scores = Array.from({ length: 5 }, (_, seed) => [
    ...scoreRows(fitIsolationForest(rows, { seed }), scored.rows),
  ]);

  it("ranks what is strange above what is usual", () => {
    const areas = scores.map((own) => areaUnderCurve(own, scored.labels));
    // 0.917 here, and between 0.911 and 0.926 of single seeds; on the bench 0.920 where scikit-learn has 0.921.
    expect(areas.reduce((sum, area) => sum + area, 0) / areas.length).toBeGreaterThanOrEqual(0.91);
  });

  it("ranks alike whatever the seed", () => {
    // 0.971 to 0.984 between these. (Fitted to 10 000 rows it is 0.94 with scikit-learn, as between two of scikit-learn's own.)
    for (const other of scores.slice(1)) expect(rankCorrelation(scores[0]!, other)).toBeGreaterThanOrEqual(0.96);
  });
});

describe("drift forecasts", () => {
  it("are better than the last value, and inside their bands as often as they say", () => {
    const runs = DRIFT_KINDS.flatMap((kind) =>
      Array.from({ length: 8 }, (_, n) => ({ kind, errors: runDrift(kind, SEED + n, DRIFT_WORLDS.clear).blend })),
    );
    const at = new Map(summariseDrift(runs).map((one) => [one.horizon, one]));
    // 47 % and 71 % on these eight of each kind, 53 and 71 on 48, where 56 and 72 could be reached at all.
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
    // 0.18 on these forty, 0.19 to 0.24 on lots of 300; 0.25 is what is promised.
    expect(mean("own")).toBeLessThanOrEqual(0.25);
    expect(mean("leastSquares")).toBeGreaterThan(3 * mean("own"));
  });
});
