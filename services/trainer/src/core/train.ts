/** Training one model: rows in, artifact and figures out. Same readings, same bytes. */
import { encodeArtifact } from "@calibration/models/artifact.ts";
import { createCalendar } from "@calibration/models/calendar.ts";
import { encodeCalibrationModel, fitCalibration, type CalibrationPair } from "@calibration/models/calibration-fit.ts";
import { measureCalibration } from "@calibration/models/calibration-measure.ts";
import { encodeDriftModel, fitDriftModel, measureDrift } from "@calibration/models/drift-model.ts";
import { baselineOf } from "@calibration/models/drift-percent.ts";
import { DRIFT_FEATURES } from "@calibration/models/drift-regression.ts";
import {
  encodeIsolationForest,
  FEATURES,
  fitIsolationForest,
  ISOLATION_FOREST_DEFAULTS,
} from "@calibration/models/isolation-forest.ts";
import { quantile } from "@calibration/models/statistics.ts";
import type { SensorBody } from "@calibration/shared/sensor.ts";
import { measureAnomalyModel } from "./anomaly-quality.ts";

export interface Trained {
  artifact: Uint8Array;
  algorithm: string;
  params: Record<string, unknown>;
  features: readonly string[];
  samples: number;
  metrics: object;
  fromMs: number | null;
  toMs: number | null;
}

/** Good readings or hourly means, oldest first. */
export interface Series {
  timesMs: Float64Array;
  values: Float64Array;
}

/** From so many hours on, drift is learnt from hourly means; below, from the readings themselves. */
export const DRIFT_HOURS_MIN = 48;

export function trainAnomaly({ timesMs, values }: Series, { settings }: Pick<SensorBody, "settings">): Trained {
  const clock = createCalendar(settings.time_zone);
  const rows = new Float64Array(values.length * FEATURES.length);
  values.forEach((value, i) => {
    const { hour, weekday } = clock(timesMs[i]!);
    rows.set([value, hour, weekday], i * FEATURES.length);
  });
  const { trees, subsample, contamination } = settings;
  const chosen = { ...ISOLATION_FOREST_DEFAULTS, trees, subsample, contamination };
  const forest = fitIsolationForest(rows, chosen);
  return {
    artifact: encodeArtifact("anomaly", encodeIsolationForest(forest)),
    algorithm: "isolation_forest",
    params: { ...chosen, subsample: forest.subsample, threshold: forest.threshold, time_zone: settings.time_zone },
    features: FEATURES,
    samples: values.length,
    metrics: measureAnomalyModel(rows, chosen),
    ...windowOf(timesMs),
  };
}

export function trainDrift(parts: {
  series: Series;
  cadence: "hour" | "reading";
  readings: number;
  body: SensorBody;
}): Trained {
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
  };
}

export function trainCalibration(pairs: readonly (CalibrationPair & { appliedAtMs: number })[]): Trained {
  const model = fitCalibration(pairs);
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
    ...windowOf(Float64Array.from(pairs, ({ appliedAtMs }) => appliedAtMs)),
  };
}

const windowOf = (timesMs: Float64Array): { fromMs: number | null; toMs: number | null } => ({
  fromMs: timesMs[0] ?? null,
  toMs: timesMs.at(-1) ?? null,
});
