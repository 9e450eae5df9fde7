import { fitIsolationForest } from "@calibration/models/isolation-forest.ts";
import { fitCalibration } from "@calibration/models/calibration-fit.ts";
import { fitDriftModel, type DriftTraining } from "@calibration/models/drift-model.ts";
import { createRandom } from "@calibration/models/random.ts";
import { describe, expect, it } from "vitest";
import { compareAnomaly, compareCalibration, compareDrift, COMPARED_MIN, decidePromotion } from "./compare.ts";

/** Readings round a level, at hours that go by. */
function rowsAround(level: number, count: number, seed: number): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from({ length: 3 * count }, (_, i) =>
    i % 3 === 0 ? level + random.normal() : i % 3 === 1 ? Math.floor(i / 3) % 24 : 0,
  );
}

function hours(count: number, perHour: number): DriftTraining {
  const random = createRandom(3);
  return {
    timesMs: Float64Array.from({ length: count }, (_, h) => h * 3_600_000),
    values: Float64Array.from({ length: count }, (_, h) => 100 + perHour * h + 0.1 * random.normal()),
    cadence: "hour",
    baseline: 100,
    span: 10,
    hourOfDay: (timestampMs) => Math.floor(timestampMs / 3_600_000) % 24,
  };
}

describe("decidePromotion", () => {
  const old = fitIsolationForest(rowsAround(20, 400, 1));
  const moved = fitIsolationForest(rowsAround(60, 400, 2));

  it("promotes what is not worse on newer readings, and not what is worse", () => {
    const newer = rowsAround(60, 200, 5);
    const better = decidePromotion("automatic", { model: "in force", comparison: compareAnomaly(moved, old, newer) });
    expect(better).toMatchObject({ promoted: true, mode: "automatic" });
    expect(better.reason).toMatch(/^not worse than the model in force: .* on 200 newer readings$/);
    const worse = decidePromotion("automatic", { model: "in force", comparison: compareAnomaly(old, moved, newer) });
    expect(worse.promoted).toBe(false);
    expect(worse.reason).toMatch(/^worse than/);
    expect(
      decidePromotion("automatic", { model: "in force", comparison: compareAnomaly(old, old, newer) }).promoted,
    ).toBe(true);
  });

  it("says 'not comparable' with too few newer readings, and promotes", () => {
    const few = compareAnomaly(old, moved, rowsAround(60, COMPARED_MIN - 1, 5));
    expect(few).toMatchObject({ readings: COMPARED_MIN - 1, loss_new: null, loss_in_force: null });
    expect(decidePromotion("automatic", { model: "in force", comparison: few })).toMatchObject({
      promoted: true,
      reason: "not comparable: 19 readings are newer than the model in force, and 20 are needed",
    });
  });

  it("leaves it to a person where that is the setting, but for a sensor's first model", () => {
    const compared = { model: "in force" as const, comparison: compareAnomaly(moved, old, rowsAround(60, 200, 5)) };
    expect(decidePromotion("manual", compared)).toMatchObject({ promoted: false, mode: "manual" });
    expect(decidePromotion("manual", { model: null, why: "no model was in force" }).promoted).toBe(true);
  });
});

describe("the other comparisons", () => {
  it("find the drift model that forecasts better", () => {
    const all = hours(120, 0.05);
    const flat = fitDriftModel(hours(60, 0));
    const rising = fitDriftModel({ ...all, timesMs: all.timesMs.slice(0, 80), values: all.values.slice(0, 80) });
    const compared = compareDrift(rising, flat, all, all.timesMs[79]!, 40);
    expect(compared.loss_new).toBeLessThan(compared.loss_in_force!);
    expect(compareDrift(rising, flat, all, all.timesMs[79]!, 19).loss_new).toBeNull();
    const byReading = compareDrift(rising, flat, { ...all, cadence: "reading" }, all.timesMs[79]!, 40);
    expect(byReading.loss_new).toBeLessThan(byReading.loss_in_force!);
  });

  it("find the calibration that corrects better", () => {
    const pairs = (offset: number) => Array.from({ length: 25 }, (_, n) => ({ raw: n, corrected: n + offset }));
    const compared = compareCalibration(fitCalibration(pairs(2)), fitCalibration(pairs(0)), pairs(2));
    expect(compared.loss_new).toBeCloseTo(0, 9);
    expect(compared.loss_in_force).toBeCloseTo(2, 9);
    expect(
      compareCalibration(fitCalibration(pairs(2)), fitCalibration(pairs(0)), pairs(2).slice(0, 19)).loss_new,
    ).toBeNull();
  });
});
