import { expect, it } from "vitest";
import type { Calibration } from "../../api.ts";
import { previewOf, readParams, type Typed } from "./params.ts";

const typed = (given: Partial<Typed>): Typed => ({
  method: "linear",
  slope: "",
  intercept: "",
  coefficients: "",
  points: "",
  ...given,
});
const calibration = (raw: number, corrected: number): Calibration => ({
  id: raw,
  sensor_id: 1,
  method: "linear",
  params: null,
  raw_value: raw,
  corrected_value: corrected,
  applied_at: "2026-01-01T00:00:00.000Z",
});

it("reads what was typed as the API takes it, or says what is wrong", () => {
  expect(readParams(typed({}))).toBeNull();
  expect(readParams(typed({ slope: "1.5", intercept: "-2" }))).toEqual({ slope: 1.5, intercept: -2 });
  expect(readParams(typed({ slope: "1.5" }))).toMatch(/both numbers/);
  expect(readParams(typed({ method: "polynomial", coefficients: "1, 2 0.5" }))).toEqual({ coefficients: [1, 2, 0.5] });
  expect(readParams(typed({ method: "custom", points: "0, 1\n10, 12\n" }))).toEqual({
    points: [
      [0, 1],
      [10, 12],
    ],
  });
  expect(readParams(typed({ method: "custom", points: "0 one" }))).toEqual(expect.any(String));
});

it("previews what the platform would do: the given curve, a line, a model of enough pairs, or nothing", () => {
  expect(previewOf("polynomial", { coefficients: [1, 2] }, [], null).correct(3)).toBe(7);
  expect(previewOf("linear", { slope: 2, intercept: 1 }, [], null).correct(3)).toBe(7);
  expect(previewOf("linear", null, [], { raw: 1, corrected: 2 }).correct(3)).toBe(3);
  const four = [1, 2, 3, 4].map((raw) => calibration(raw, 2 * raw + 1));
  expect(previewOf("linear", null, four, { raw: 5, corrected: 11 }).correct(10)).toBeCloseTo(21, 6);
});
