/** Training one model: rows in, artifact and figures out. Same readings, same bytes. */
import { decodeArtifact, encodeArtifact } from "@calibration/models/artifact.ts";
import { createCalendar } from "@calibration/models/calendar.ts";
import {
  decodeCalibrationModel,
  encodeCalibrationModel,
  fitCalibration,
  type CalibrationPair,
} from "@calibration/models/calibration-fit.ts";
import { measureCalibration } from "@calibration/models/calibration-measure.ts";
import { decodeDriftModel, encodeDriftModel, fitDriftModel, measureDrift } from "@calibration/models/drift-model.ts";
import { baselineOf } from "@calibration/models/drift-percent.ts";
import { DRIFT_FEATURES } from "@calibration/models/drift-regression.ts";
import {
  decodeIsolationForest,
  encodeIsolationForest,
  FEATURES,
  fitIsolationForest,
  ISOLATION_FOREST_DEFAULTS,
} from "@calibration/models/isolation-forest.ts";
import { quantile } from "@calibration/models/statistics.ts";
import type { SensorBody } from "@calibration/shared/sensor.ts";
import { measureAnomalyModel } from "./anomaly-quality.ts";
import { compareAnomaly, compareCalibration, compareDrift, type Comparison } from "./compare.ts";

export interface Trained {
  artifact: Uint8Array;
  algorithm: string;
  params: Record<string, unknown>;
  features: readonly string[];
  samples: number;
  metrics: object;
  fromMs: number | null;
  toMs: number | null;
  /** What it was fitted on, column by column: whoever keeps the model keeps its digest. */
  data: readonly Float64Array[];
  /** Settings that decide what the bytes are. */
  settings: Record<string, unknown>;
  /** Against the model in force. @throws where its bytes are none of this code's */
  compareWith(inForce: Uint8Array, inForceToMs: number): Comparison;
}

/** Good readings or hourly means, oldest first. */
export interface Series {
  timesMs: Float64Array;
  values: Float64Array;
}

/** What one model is fitted from, as values that can be handed to another thread. */
export type FitTask =
  | { type: "anomaly"; series: Series; settings: SensorBody["settings"] }
  | ({ type: "drift"; body: SensorBody } & DriftData)
  | { type: "calibration"; pairs: readonly DatedPair[] };

export type DatedPair = CalibrationPair & { appliedAtMs: number };

export interface DriftData {
  series: Series;
  cadence: "hour" | "reading";
  /** Good readings behind each value of the series. */
  counts: Float64Array;
  /** Their sum. */
  readings: number;
}

/** @throws where the data come to no model, as numbers beyond 10³⁰⁰ do: then nothing is kept, and what was in force stays */
export function train(task: FitTask): Trained {
  const trained = fit(task);
  try {
    READ[task.type](decodeArtifact(task.type, trained.artifact));
  } catch (error) {
    throw new RangeError(`the data do not come to a model: ${(error as Error).message}`, { cause: error });
  }
  return trained;
}

/** As the services will. */
const READ = { anomaly: decodeIsolationForest, drift: decodeDriftModel, calibration: decodeCalibrationModel };

function fit(task: FitTask): Trained {
  if (task.type === "anomaly") return trainAnomaly(task.series, task.settings);
  return task.type === "drift" ? trainDrift(task) : trainCalibration(task.pairs);
}

/** From so many hours on, drift is learnt from hourly means; below, from the readings themselves. */
export const DRIFT_HOURS_MIN = 48;

function trainAnomaly({ timesMs, values }: Series, settings: SensorBody["settings"]): Trained {
  const clock = createCalendar(settings.time_zone);
  const rows = new Float64Array(values.length * FEATURES.length);
  values.forEach((value, i) => {
    const { hour, weekday } = clock(timesMs[i]!);
    rows.set([value, hour, weekday], i * FEATURES.length);
  });
  // A version of the sensor from before there was this setting lacks it.
  const features = FEATURES.filter((feature) => settings.features?.includes(feature) ?? true);
  const fitted = constantBeside(features, rows);
  const { trees, subsample, contamination } = settings;
  const chosen = { ...ISOLATION_FOREST_DEFAULTS, trees, subsample, contamination };
  const forest = fitIsolationForest(fitted, chosen);
  return {
    artifact: encodeArtifact("anomaly", encodeIsolationForest(forest)),
    algorithm: "isolation_forest",
    params: { ...chosen, subsample: forest.subsample, threshold: forest.threshold, time_zone: settings.time_zone },
    features,
    samples: values.length,
    metrics: measureAnomalyModel(fitted, chosen),
    ...windowOf(timesMs),
    data: [timesMs, values],
    settings: { ...chosen, time_zone: settings.time_zone, features },
    // As they are: the one in force may look at more.
    compareWith: (inForce, inForceToMs) =>
      compareAnomaly(
        forest,
        decodeIsolationForest(decodeArtifact("anomaly", inForce)),
        rows.subarray(timesMs.filter((timeMs) => timeMs <= inForceToMs).length * FEATURES.length),
      ),
  };
}

/** A tree never splits where nothing varies: the columns that do not count are made constant. */
function constantBeside(features: readonly (typeof FEATURES)[number][], rows: Float64Array): Float64Array {
  return features.length === FEATURES.length
    ? rows
    : rows.map((x, i) => (features.includes(FEATURES[i % FEATURES.length]!) ? x : 0));
}

function trainDrift(parts: DriftData & { body: SensorBody }): Trained {
  const { timesMs, values } = parts.series;
  const { range_min: rangeMin, range_max: rangeMax, settings } = parts.body;
  const span =
    rangeMin !== null && rangeMax !== null ? rangeMax - rangeMin : quantile(values, 0.95) - quantile(values, 0.05);
  const baseline = parts.body.baseline ?? baselineOf(values);
  const clock = createCalendar(settings.time_zone);
  const training = {
    timesMs,
    values,
    cadence: parts.cadence,
    baseline,
    span,
    hourOfDay: (timestampMs: number) => clock(timestampMs).hour,
  };
  const metrics = measureDrift(training);
  const model = fitDriftModel(training, metrics);
  return {
    artifact: encodeArtifact("drift", encodeDriftModel(model)),
    algorithm: "linear_regression",
    params: { window: model.regression.window, cadence: parts.cadence, baseline, span, preferred: model.preferred },
    features: DRIFT_FEATURES,
    samples: parts.readings,
    metrics,
    ...windowOf(timesMs),
    data: [timesMs, values],
    settings: { cadence: parts.cadence, baseline, span, time_zone: settings.time_zone },
    compareWith: (inForce, inForceToMs) =>
      compareDrift(
        model,
        decodeDriftModel(decodeArtifact("drift", inForce)),
        training,
        inForceToMs,
        parts.counts.reduce((sum, count, i) => sum + (timesMs[i]! > inForceToMs ? count : 0), 0),
      ),
  };
}

function trainCalibration(pairs: readonly DatedPair[]): Trained {
  const model = fitCalibration(pairs);
  const appliedAtMs = Float64Array.from(pairs, (pair) => pair.appliedAtMs);
  return {
    artifact: encodeArtifact("calibration", encodeCalibrationModel(model)),
    algorithm: "linear_regression",
    params: {
      form: model.form,
      coefficients: model.coefficients,
      centre: model.centre,
      scale: model.scale,
      remarks: model.remarks,
    },
    features: ["raw_value"],
    samples: pairs.length,
    metrics: measureCalibration(pairs),
    ...windowOf(appliedAtMs),
    data: [
      appliedAtMs,
      Float64Array.from(pairs, ({ raw }) => raw),
      Float64Array.from(pairs, ({ corrected }) => corrected),
    ],
    settings: {},
    compareWith: (inForce, inForceToMs) =>
      compareCalibration(
        model,
        decodeCalibrationModel(decodeArtifact("calibration", inForce)),
        pairs.filter((pair) => pair.appliedAtMs > inForceToMs),
      ),
  };
}

const windowOf = (timesMs: Float64Array): { fromMs: number | null; toMs: number | null } => ({
  fromMs: timesMs[0] ?? null,
  toMs: timesMs.at(-1) ?? null,
});
