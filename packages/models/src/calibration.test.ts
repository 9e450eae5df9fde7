import { describe, expect, it } from "vitest";
import {
  correctByModel,
  decodeCalibrationModel,
  encodeCalibrationModel,
  fitCalibration,
  studentT975,
  type CalibrationPair,
} from "./calibration-fit.ts";
import { measureCalibration } from "./calibration-measure.ts";
import { chooseCorrection, correctByRecord, explainCorrection, validateCalibrationParams } from "./correction.ts";
import { createRandom } from "./random.ts";

const NOISE = 0.2;
const RAW_NOISE = 0.6 / Math.sqrt(3);

function calibrated(count: number, truth: (raw: number) => number, { seed = 1, badShare = 0 } = {}): CalibrationPair[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const raw = 40 + 20 * random.float();
    const bad = random.float() < badShare ? 10 * (random.float() < 0.5 ? -1 : 1) : 0;
    return { raw: raw + RAW_NOISE * random.normal(), corrected: truth(raw) + NOISE * random.normal() + bad };
  });
}

/** Root mean square error over the calibrated range, the median of so many seeds. */
function error(count: number, truth: (raw: number) => number, badShare = 0): number {
  const errors = Array.from({ length: 60 }, (_, seed) => {
    const model = fitCalibration(calibrated(count, truth, { seed, badShare }));
    let sum = 0;
    for (let raw = 40; raw <= 60; raw++) sum += (correctByModel(model, raw).value - truth(raw)) ** 2;
    return Math.sqrt(sum / 21);
  });
  return Math.sqrt(errors.reduce((sum, one) => sum + one * one, 0) / errors.length);
}

describe("fitCalibration", () => {
  it("finds gain and offset, also with one bad entry in ten", () => {
    const truth = (raw: number): number => 1.1 * raw - 3;
    expect(error(15, truth)).toBeLessThan(0.25);
    expect(error(15, truth, 0.1)).toBeLessThan(0.4);
  });

  it("leaves a sensor alone that is right, and bends where it is bent", () => {
    const left = Array.from(
      { length: 40 },
      (_, seed) => fitCalibration(calibrated(15, (raw) => raw, { seed })).form,
    ).filter((form) => form === "identity");
    expect(left.length).toBeGreaterThan(20);
    expect(error(15, (raw) => raw)).toBeLessThan(0.12);
    const bent = fitCalibration(calibrated(40, (raw) => raw + 0.03 * (raw - 50) ** 2));
    expect(bent.form).toBe("parabola");
    expect(correctByModel(bent, 200).extrapolated).toBe(true);
    // The tangent is followed outside, not the parabola: 200 would be 875.
    expect(correctByModel(bent, 200).value).toBeLessThan(350);
  });

  it("is a line through exact points, to nine digits, wherever they lie", () => {
    const pairs = Array.from({ length: 10 }, (_, n) => ({ raw: 1e7 + n, corrected: 3 + 1.5 * (1e7 + n) }));
    expect(correctByModel(fitCalibration(pairs), 1e7 + 4.5).value / (3 + 1.5 * (1e7 + 4.5))).toBeCloseTo(1, 9);
  });

  it("says which entry is strange, and refuses too few", () => {
    const pairs = [...calibrated(14, (raw) => raw + 1), { raw: 50, corrected: 500 }];
    expect(fitCalibration(pairs).remarks.join()).toMatch(/check the entry raw 50 → 500/);
    const exact = [1, 2, 3, 4, 5, 6].map((raw) => ({ raw, corrected: raw === 6 ? 60 : raw }));
    expect(fitCalibration(exact).remarks).toEqual([expect.stringMatching(/^check the entry raw 6 → 60/)]);
    const dated = pairs.map((pair, day) => ({ ...pair, appliedAtMs: Date.UTC(2026, 0, 1 + day) }));
    expect(fitCalibration(dated).remarks.join()).toMatch(/check the entry of 2026-01-15T00:00:00.000Z, raw 50 → 500/);
    expect(() => fitCalibration(pairs.slice(0, 2))).toThrow(/needs 3 pairs/);
  });

  it("comes back from its bytes, and damaged bytes do not", () => {
    const model = fitCalibration(calibrated(8, (raw) => raw + 1));
    expect(decodeCalibrationModel(encodeCalibrationModel(model))).toEqual(model);
    expect(() => decodeCalibrationModel(new TextEncoder().encode('{"format":1,"form":"line"}'))).toThrow(/lacks/);
    expect(() => decodeCalibrationModel(new TextEncoder().encode('{"format":9}'))).toThrow(
      expect.objectContaining({ code: "model_incompatible" }) as Error,
    );
  });

  it("knows Student's t", () => {
    expect(studentT975(4)).toBeCloseTo(2.776, 1);
    expect(studentT975(10)).toBeCloseTo(2.228, 2);
  });
});

describe("measureCalibration", () => {
  it("tells how much smaller the error became", () => {
    const measured = measureCalibration(calibrated(15, (raw) => raw + 5));
    expect(measured.rmse_before).toBeGreaterThan(4.5);
    expect(measured.improvement).toBeGreaterThan(0.8);
  });
});

describe("chooseCorrection", () => {
  const model = { model: fitCalibration(calibrated(15, (raw) => raw + 5)), version: 3 };
  const reading = { timestampMs: 1000, value: 50 };
  const line = { method: "linear" as const, params: { slope: 2, intercept: 1 }, appliedAtMs: 500 };

  it("asks the model, else the latest line, else nobody", () => {
    expect(chooseCorrection(model, [line], reading)).toMatchObject({
      method: "linear_regression",
      modelVersion: 3,
      extrapolated: false,
    });
    expect(chooseCorrection(model, [line], { ...reading, value: 1e4 })).toMatchObject({
      modelVersion: 3,
      extrapolated: true,
    });
    expect(chooseCorrection(null, [line], reading)).toEqual({
      correctedValue: 101,
      method: "latest_calibration",
      modelVersion: null,
      extrapolated: false,
    });
    expect(chooseCorrection(null, [{ ...line, appliedAtMs: 2000 }], reading)).toEqual({
      correctedValue: 50,
      method: "identity",
      modelVersion: null,
      extrapolated: false,
    });
    expect(
      explainCorrection({ model: null, version: 1, reason: "model_damaged" }, [line], reading).fallbackReason,
    ).toBe("model_damaged");
  });

  it("applies what a person gave as a polynomial or a table, before the model", () => {
    const table = {
      method: "custom" as const,
      params: {
        points: [
          [0, 0],
          [100, 200],
          [40, 80],
        ],
      },
      appliedAtMs: 600,
    };
    expect(chooseCorrection(model, [line, table], reading)).toEqual({
      correctedValue: 100,
      method: "custom",
      modelVersion: null,
      extrapolated: false,
    });
    expect(explainCorrection(model, [line, table], reading).fallbackReason).toBeNull();
    expect(correctByRecord({ method: "polynomial", params: { coefficients: [1, 2, 3] } }, 2)).toBe(17);
    expect(correctByRecord(table, 150)).toBe(300);
  });

  it("refuses params that are none", () => {
    expect(validateCalibrationParams("linear", { slope: 1 })).toMatch(/slope, intercept/);
    expect(validateCalibrationParams("linear", { slope: 1, intercept: 0 })).toBeNull();
    expect(validateCalibrationParams("polynomial", { coefficients: [] })).toMatch(/1 to 10/);
    expect(
      validateCalibrationParams("custom", {
        points: [
          [1, 2],
          [1, 3],
        ],
      }),
    ).toMatch(/different/);
  });
});
