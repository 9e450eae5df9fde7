/** How much a calibration model helps, measured leave-one-out: each calibration is judged by a model that never saw it. */
import { fitCalibration, leaveOneOutResiduals, type CalibrationPair } from "./calibration-fit.ts";

export interface CalibrationMetrics {
  /** Root mean square of what was wrong, in the sensor's unit: with the raw value, and with the corrected one. */
  readonly rmse_before: number;
  readonly rmse_after: number;
  /** 1 − after / before; null where nothing was wrong before. */
  readonly improvement: number | null;
  readonly reason: string | null;
  readonly samples: number;
}

export function measureCalibration(pairs: readonly CalibrationPair[]): CalibrationMetrics {
  const { form } = fitCalibration(pairs);
  const before = rootMeanSquare(pairs.map(({ raw, corrected }) => corrected - raw));
  const after = rootMeanSquare(leaveOneOutResiduals(pairs, form));
  const improvement = before > 0 ? 1 - after / before : null;
  return {
    rmse_before: before,
    rmse_after: after,
    improvement,
    reason: improvement === null ? "the raw values were already right" : null,
    samples: pairs.length,
  };
}

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}
