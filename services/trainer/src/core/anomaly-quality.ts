/** What an anomaly model is worth: fitted on the first four fifths, measured on the rest, with faults put into it. */
import { fitIsolationForest, scoreRows, type IsolationForestSettings } from "@calibration/models/isolation-forest.ts";
import { createRandom } from "@calibration/models/random.ts";
import { medianAbsoluteDeviation } from "@calibration/models/statistics.ts";

export interface AnomalyMetrics {
  /** Share of the hold-out that is flagged, and the share that was intended. */
  flagged_share: number | null;
  intended_share: number;
  /** Share of injected faults that is flagged. */
  recall: number | null;
  samples: number;
  injected: number;
  reason: string | null;
}

const COLUMNS = 3;
const TRAINING_SHARE = 0.8;
/** Below this the hold-out says nothing. */
const HELD_OUT_MIN = 10;
const INJECTED_MAX = 500;
/** The size of an injected fault, in robust deviations of the training values: a clear one, not the largest there is. */
const FAULT_SIGMAS = 6;

/** @param rows n × 3: value, hour, weekday, in the order of time */
export function measureAnomalyModel(rows: Float64Array, settings: IsolationForestSettings): AnomalyMetrics {
  const count = rows.length / COLUMNS;
  const cut = Math.floor(count * TRAINING_SHARE);
  const unmeasured = {
    flagged_share: null,
    intended_share: settings.contamination,
    recall: null,
    samples: 0,
    injected: 0,
  };
  if (count - cut < HELD_OUT_MIN)
    return { ...unmeasured, reason: `the hold-out has ${count - cut} readings, and ${HELD_OUT_MIN} are needed` };
  const forest = fitIsolationForest(rows.slice(0, cut * COLUMNS), settings);
  const heldOut = rows.slice(cut * COLUMNS);
  const values = Float64Array.from({ length: cut }, (_, i) => rows[i * COLUMNS]!);
  const size = FAULT_SIGMAS * medianAbsoluteDeviation(values);
  const flagged = (all: Float64Array): number =>
    scoreRows(forest, all).filter((score) => score > forest.threshold).length;
  const measured = { ...unmeasured, flagged_share: flagged(heldOut) / (count - cut), samples: count - cut };
  if (!(size > 0)) return { ...measured, reason: "the readings do not vary, so no fault has a size" };
  const random = createRandom(settings.seed, 1);
  const injected = Math.min(INJECTED_MAX, count - cut);
  const faults = new Float64Array(injected * COLUMNS);
  for (let i = 0; i < injected; i++) {
    const from = random.integer(count - cut) * COLUMNS;
    faults.set(heldOut.subarray(from, from + COLUMNS), i * COLUMNS);
    faults[i * COLUMNS]! += random.float() < 0.5 ? size : -size;
  }
  return { ...measured, recall: flagged(faults) / injected, injected, reason: null };
}
