/**
 * Is the new model worse than the one in force? Both are asked about readings that the one in force was not trained on. The new one may
 * have seen them; so it is only asked not to be worse, and each back-test in `metrics` stands beside it, from a fit that has not.
 */
import { rollDriftRegression } from "@calibration/models/drift-regression.ts";
import { forecastDrift, type DriftModel } from "@calibration/models/drift-model.ts";
import { percentOf } from "@calibration/models/drift-percent.ts";
import { correctByModel, type CalibrationModel, type CalibrationPair } from "@calibration/models/calibration-fit.ts";
import { scoreReading, type IsolationForest } from "@calibration/models/isolation-forest.ts";
import { medianAbsoluteDeviation } from "@calibration/models/statistics.ts";

export interface Comparison {
  /** What both were measured by; of a loss smaller is better. */
  measure: string;
  /** Readings, or calibrations, newer than the training of the model in force. */
  readings: number;
  /** The new model's, and that of the one in force; null: not comparable. */
  loss_new: number | null;
  loss_in_force: number | null;
}

export interface Promotion {
  mode: "automatic" | "manual";
  promoted: boolean;
  reason: string;
  comparison: Comparison | null;
}

/** Fewer newer readings compare nothing. */
export const COMPARED_MIN = 20;
/** The newest so many are looked at. */
const COMPARED_MAX = 2_000;
/** What a few dozen readings cannot tell apart is not worse. */
const TOLERANCE_SHARE = 0.05;
const TOLERANCE_OF_ONE = 0.02;
const FAULT_SIGMAS = 6;
const HORIZON_HOURS = 24;
const ORIGINS_MAX = 12;

export type Compared = { model: null; why: string } | { model: "in force"; comparison: Comparison };

/** Whether the new model goes into force, in words. */
export function decidePromotion(mode: Promotion["mode"], compared: Compared): Promotion {
  if (mode === "manual" && !(compared.model === null && compared.why === "no model was in force"))
    return {
      mode,
      promoted: false,
      reason: "promotion is manual for this sensor",
      comparison: compared.model === null ? null : compared.comparison,
    };
  if (compared.model === null) return { mode, promoted: true, reason: compared.why, comparison: null };
  const { comparison } = compared;
  const { loss_new: own, loss_in_force: inForce, readings, measure } = comparison;
  if (own === null || inForce === null)
    return {
      mode,
      promoted: true,
      reason: `not comparable: ${readings} readings are newer than the model in force, and ${COMPARED_MIN} are needed`,
      comparison,
    };
  const promoted = own <= inForce * (1 + TOLERANCE_SHARE) + TOLERANCE_OF_ONE * (measure === ANOMALY_MEASURE ? 1 : 0);
  const figures = `${measure} ${short(own)} against ${short(inForce)} on ${readings} newer readings`;
  return {
    mode,
    promoted,
    reason: `${promoted ? "not worse" : "worse"} than the model in force: ${figures}`,
    comparison,
  };
}

const short = (value: number): string => String(Number(value.toPrecision(3)));

const ANOMALY_MEASURE = "missed faults and unintended flags";

/**
 * Missed share of faults put into the newer readings, and how far the flagged share is from the intended one.
 *
 * @param rows n × 3, of newer readings only: value, hour, weekday
 */
export function compareAnomaly(own: IsolationForest, inForce: IsolationForest, rows: Float64Array): Comparison {
  const newest = rows.subarray(Math.max(0, rows.length - 3 * COMPARED_MAX));
  const readings = newest.length / 3;
  const comparison = { measure: ANOMALY_MEASURE, readings, loss_new: null, loss_in_force: null };
  if (readings < COMPARED_MIN) return comparison;
  const size =
    FAULT_SIGMAS * medianAbsoluteDeviation(Float64Array.from({ length: readings }, (_, i) => newest[3 * i]!));
  const lossOf = (forest: IsolationForest): number => {
    let flagged = 0;
    let missed = 0;
    for (let i = 0; i < readings; i++) {
      const [value, hour, weekday] = newest.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
      if (scoreReading(forest, value, hour, weekday) > forest.threshold) flagged++;
      // Up and down in turns, so that the comparison is the same whenever it is made.
      if (scoreReading(forest, value + (i % 2 === 0 ? size : -size), hour, weekday) <= forest.threshold) missed++;
    }
    return (size > 0 ? missed / readings : 0) + Math.abs(flagged / readings - forest.settings.contamination);
  };
  return { ...comparison, loss_new: lossOf(own), loss_in_force: lossOf(inForce) };
}

export interface DriftCompared {
  timesMs: Float64Array;
  values: Float64Array;
  cadence: "hour" | "reading";
  baseline: number;
  span: number;
  hourOfDay(timestampMs: number): number;
}

/** Mean absolute error of day-ahead forecasts from origins after the training of the model in force; next readings where there are no hours. */
export function compareDrift(
  own: DriftModel,
  inForce: DriftModel,
  series: DriftCompared,
  inForceToMs: number,
  newerReadings: number,
): Comparison {
  const { timesMs, values, cadence } = series;
  const comparison = {
    measure: "mean absolute error of drift, percent,",
    readings: newerReadings,
    loss_new: null,
    loss_in_force: null,
  };
  const first = timesMs.findIndex((timeMs) => timeMs > inForceToMs);
  if (newerReadings < COMPARED_MIN || first < 1) return comparison;
  const last = values.length;
  const step = Math.max(1, Math.ceil((last - first) / ORIGINS_MAX));
  const lossOf = (model: DriftModel): number => {
    let off = 0;
    let count = 0;
    for (let origin = first; origin < last; origin += step) {
      const predicted = cadence === "hour" ? dayAhead(model, series, origin) : nextReading(model, series, origin);
      predicted.forEach((drift, k) => {
        if (origin + k >= last) return;
        off += Math.abs(drift - percentOf(values[origin + k]!, series.baseline, series.span));
        count++;
      });
    }
    return off / count;
  };
  return { ...comparison, loss_new: lossOf(own), loss_in_force: lossOf(inForce) };
}

function dayAhead(model: DriftModel, series: DriftCompared, origin: number): number[] {
  const { points } = forecastDrift(
    model,
    {
      hourlyTimesMs: series.timesMs.subarray(0, origin),
      hourlyMeans: series.values.subarray(0, origin),
      lastReadingMs: series.timesMs[origin - 1]!,
      baseline: series.baseline,
      span: series.span,
      hourOfDay: (timestampMs) => series.hourOfDay(timestampMs),
    },
    { horizonHours: HORIZON_HOURS, stepHours: 1 },
  );
  return points.map(({ drift }) => drift);
}

function nextReading(model: DriftModel, series: DriftCompared, origin: number): number[] {
  const { regression, startMs } = model;
  const from = Math.max(0, origin - regression.window);
  const recent = Array.from(series.values.subarray(from, origin), (value) =>
    percentOf(value, series.baseline, series.span),
  );
  return [...rollDriftRegression(regression, recent, [(series.timesMs[origin]! - startMs) / 3_600_000])];
}

/** Mean absolute error on calibrations newer than the training of the model in force. */
export function compareCalibration(
  own: CalibrationModel,
  inForce: CalibrationModel,
  newer: readonly CalibrationPair[],
): Comparison {
  const comparison = {
    measure: "mean absolute error",
    readings: newer.length,
    loss_new: null,
    loss_in_force: null,
  };
  if (newer.length < COMPARED_MIN) return comparison;
  const lossOf = (model: CalibrationModel): number =>
    newer.reduce((sum, { raw, corrected }) => sum + Math.abs(corrected - correctByModel(model, raw).value), 0) /
    newer.length;
  return { ...comparison, loss_new: lossOf(own), loss_in_force: lossOf(inForce) };
}
