import type { DriftModel } from "@calibration/models/drift-model.ts";
import { admit, isReading, refreshFor } from "@calibration/shared/admission.ts";
import type { Telling } from "@calibration/shared/bus.ts";
import type { CalibrationFact, Facts, SensorAt } from "@calibration/shared/facts.ts";
import type { Heard, PartitionHandler } from "@calibration/shared/hear.ts";
import type { Keep } from "@calibration/shared/keep-together.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import type { ModelCache } from "@calibration/shared/model-cache.ts";
import type { Reading } from "@calibration/shared/reading.ts";
import { subjects } from "@calibration/shared/topology.ts";
import type { Pool } from "pg";
import { createFollowing, follow, restart, type Followed, type Following } from "./core/follow.ts";
import { predictAhead, type Prediction } from "./predictions.ts";
import { findFollowings, findMeansSince, keepPredictions, keepSensors, type FollowedSensor } from "./store.ts";

/** A prediction is kept of an hour that closes while it is still news; a back-fill's hours are history. */
const NEWS_MS = 2 * 3_600_000;
/** Of one partition; what is forgotten stands in the table. */
const SENSORS_HELD_MAX = 2_000;

/** What a batch came to. */
export interface FollowedBatch {
  touched: FollowedSensor[];
  predictions: Prediction[];
  tell: Telling[];
}

/** Decide how far each sensor has drifted, and where it goes. */
export function followDrift(parts: {
  pool: Pool;
  facts: Facts;
  models: Pick<ModelCache<DriftModel>, "load">;
  retentionDays: number;
}): PartitionHandler<FollowedBatch> {
  const { pool, facts, models } = parts;
  const followings = new Map<number, Following>();

  return {
    async decide(batch) {
      const messages = batch.messages.filter(isReading);
      await refreshFor(facts, messages);
      const admitted = messages
        .map((message) => admit(facts, message, parts.retentionDays))
        .filter(({ sensor, parsed }) => sensor !== null && parsed.readings.length > 0);
      await load(admitted.map(({ sensor }) => sensor!.sensorId));

      const touched = new Map<number, FollowedSensor>();
      const tell: Telling[] = [];
      const predictions: Prediction[] = [];
      for (const { sensor, message, parsed } of admitted) {
        const followed = touched.get(sensor!.sensorId) ?? {
          sensorId: sensor!.sensorId,
          state: followings.get(sensor!.sensorId)!,
          last: null,
          closed: [],
        };
        for (const reading of parsed.readings) {
          if (reading.timestampMs <= followed.state.newestMs) continue;
          if (reading.quality !== "good") {
            // It is not followed, but it stands: a good one for the same instant is a repeat.
            followed.state.newestMs = reading.timestampMs;
            touched.set(sensor!.sensorId, followed);
            continue;
          }
          // Nothing is awaited for a reading by itself: a turn of the event loop's queue is a tenth of its cost.
          const calibration = calibrationSince(sensor!, followed.state, reading.timestampMs);
          if (calibration !== null) await restartAt(calibration, sensor!, followed);
          const came = follow(followed.state, reading.timestampMs, reading.value, contextOf(sensor!));
          followed.last = { ...came, timestampMs: reading.timestampMs };
          if (came.closed !== null) followed.closed.push(came.closed);
          if (came.crossed !== null) tell.push(levelCrossed(sensor!, reading, came, message, batch.streamCreated));
          if (came.closed !== null && message.storedMs - reading.timestampMs < NEWS_MS) {
            const prediction = await predictAhead({ pool, models, sensor: sensor!, followed, reading });
            if (prediction !== null) predictions.push(prediction);
          }
        }
        if (followed.last !== null) touched.set(sensor!.sensorId, followed);
      }

      return { touched: [...touched.values()], predictions, tell };
    },
  };

  async function load(sensorIds: readonly number[]): Promise<void> {
    const wanted = new Set(sensorIds);
    const missing = [...wanted].filter((sensorId) => !followings.has(sensorId));
    if (missing.length === 0) return;
    for (const sensorId of followings.keys()) {
      if (followings.size + missing.length <= SENSORS_HELD_MAX) break;
      if (!wanted.has(sensorId)) followings.delete(sensorId);
    }
    const found = await findFollowings(pool, missing);
    for (const sensorId of missing) followings.set(sensorId, found.get(sensorId) ?? createFollowing());
  }

  /** A calibration begins a new baseline; one recorded after the fact, from the hours that are kept since then. */
  async function restartAt(latest: CalibrationFact, sensor: SensorAt, followed: FollowedSensor): Promise<void> {
    const { state } = followed;
    const kept =
      state.newestMs > latest.appliedAtMs ? await findMeansSince(pool, sensor.sensorId, latest.appliedAtMs) : [];
    const means = [...kept, ...followed.closed.filter((hour) => hour.hourMs >= latest.appliedAtMs)].map(
      (hour) => hour.mean,
    );
    restart(state, latest.appliedAtMs, means, means);
  }
}

/** The calibration in force by then, where the baseline does not follow it yet. */
function calibrationSince(sensor: SensorAt, state: Following, timestampMs: number): CalibrationFact | null {
  if (sensor.calibrations.length === 0) return null;
  const latest = sensor.calibrations.findLast((calibration) => calibration.appliedAtMs <= timestampMs);
  if (latest === undefined || latest.appliedAtMs === state.calibratedAtMs) return null;
  return state.calibratedAtMs !== null && latest.appliedAtMs < state.calibratedAtMs ? null : latest;
}

/** Keep how far they drifted; tell the levels that were crossed. */
export const keepFollowed: Keep<FollowedBatch> = async (transaction, decisions) => {
  await keepSensors(
    transaction,
    decisions.flatMap(({ batch: { partition }, decided }) => decided.touched.map((one) => ({ ...one, partition }))),
  );
  await keepPredictions(
    transaction,
    decisions.flatMap(({ decided }) => decided.predictions),
  );
  return decisions.map(({ decided: { predictions, tell } }) => {
    const counts: Counts = {};
    for (const { method, fallbackReason } of predictions) {
      count(counts, "predicted", [method]);
      if (fallbackReason !== null) count(counts, "fallback", [fallbackReason]);
    }
    return { tell, counts };
  });
};

const contextOf = ({ body }: SensorAt) => ({
  rangeMin: body.range_min,
  rangeMax: body.range_max,
  baseline: body.baseline,
  levels: body.settings.drift_levels,
});

function levelCrossed(
  sensor: SensorAt,
  reading: Reading,
  came: Followed,
  message: Heard,
  streamCreated: string,
): Telling {
  return {
    subject: subjects.driftEvent(sensor.site, sensor.key),
    id: `drift-${streamCreated}-${sensor.sensorId}-${reading.timestampMs}`,
    traceparent: message.traceparent,
    body: JSON.stringify({
      event: "level_crossed",
      sensor_id: sensor.sensorId,
      timestamp: new Date(reading.timestampMs).toISOString(),
      drift: came.drift,
      ...came.crossed,
      ...(message.traceparent === null ? {} : { traceparent: message.traceparent }),
    }),
  };
}
