/** A calibration: a recorded correction of one sensor. */

export type CalibrationMethod = "linear" | "polynomial" | "custom";
export const CALIBRATION_METHODS: readonly CalibrationMethod[] = ["linear", "polynomial", "custom"];

export type CalibrationParams =
  | { slope: number; intercept: number }
  | { coefficients: number[] }
  | { points: [number, number][] };

/** How a corrected value came about. */
export type CorrectionMethod =
  | "linear_regression"
  | "robust_linear"
  | "polynomial"
  | "custom"
  | "latest_calibration"
  | "identity";

/** A calibration model is learnt from at least so many. */
export const CALIBRATIONS_MIN = 5;
/** `raw_value` of a calibration is the mean of this many good readings before it. */
export const READINGS_BEFORE_CALIBRATION = 3;
