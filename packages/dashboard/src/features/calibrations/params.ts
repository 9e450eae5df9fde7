/** What a person types of a calibration's method, as the API takes it; and what it would make of a reading. */
import { correctByModel, fitCalibration, type CalibrationPair } from "@calibration/models/calibration-fit.ts";
import { correctByRecord, validateCalibrationParams } from "@calibration/models/correction.ts";
import { CALIBRATIONS_MIN } from "@calibration/shared/calibration.ts";
import type { Calibration } from "../../api.ts";

export type Method = Calibration["method"];

export interface Typed {
  method: Method;
  slope: string;
  intercept: string;
  coefficients: string;
  points: string;
}

const numberOf = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));
const numbersOf = (text: string): number[] =>
  text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(numberOf);

/** Null where nothing was typed: then the model learns from the reference alone. A string is what is wrong. */
export function readParams(typed: Typed): object | string | null {
  const params = paramsOf(typed);
  return params === null ? null : (validateCalibrationParams(typed.method, params) ?? params);
}

function paramsOf({ method, slope, intercept, coefficients, points }: Typed): object | null {
  if (method === "linear")
    return slope.trim() === "" && intercept.trim() === ""
      ? null
      : { slope: numberOf(slope), intercept: numberOf(intercept) };
  if (method === "polynomial") return coefficients.trim() === "" ? null : { coefficients: numbersOf(coefficients) };
  const lines = points.split("\n").filter((line) => line.trim() !== "");
  return lines.length === 0 ? null : { points: lines.map(numbersOf) };
}

/**
 * What would correct a reading once this is recorded, as the platform itself does it: params of a curve that were given,
 * else a model of all pairs with the new one among them, else the line of the latest params, else nothing.
 */
export function previewOf(
  method: Method,
  params: object | null,
  earlier: readonly Calibration[],
  added: CalibrationPair | null,
): { correct: (raw: number) => number; how: string } {
  if (params !== null && method !== "linear")
    return { correct: (raw) => correctByRecord({ method, params }, raw), how: "as it is given here" };
  const pairs = [...earlier.flatMap(pairOf), ...(added === null ? [] : [added])];
  if (pairs.length >= CALIBRATIONS_MIN) {
    const model = fitCalibration(pairs);
    return {
      correct: (raw) => correctByModel(model, raw).value,
      how: `by a model of ${pairs.length} calibrations (${model.form.replaceAll("_", " ")}), once it is trained`,
    };
  }
  const line = params ?? earlier.find((one) => one.params !== null)?.params ?? null;
  if (line !== null)
    return {
      correct: (raw) => correctByRecord({ method: "linear", params: line }, raw),
      how: "by the line that is given",
    };
  return { correct: (raw) => raw, how: `not yet: ${CALIBRATIONS_MIN} calibrations make a model, or give a line here` };
}

export const pairOf = ({ raw_value: raw, corrected_value: corrected }: Calibration): CalibrationPair[] =>
  raw === null ? [] : [{ raw, corrected }];
