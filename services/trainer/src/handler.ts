import { CALIBRATIONS_MIN } from "@calibration/shared/calibration.ts";
import { say, type Bus } from "@calibration/shared/bus.ts";
import { isDatabaseTrouble } from "@calibration/shared/database.ts";
import { FACT_LEAD_MS } from "@calibration/shared/facts.ts";
import type { Log } from "@calibration/shared/log.ts";
import { modelBody, type ModelRow } from "@calibration/shared/model.ts";
import type { Overdue } from "@calibration/shared/overdue.ts";
import { subjects } from "@calibration/shared/topology.ts";
import {
  CALIBRATIONS_WITH_READINGS_MIN,
  READINGS_FOR_ANOMALY_MIN,
  READINGS_FOR_DRIFT_MIN,
  type TrainingRequest,
} from "@calibration/shared/training.ts";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import type { Fitting } from "./fitting.ts";
import {
  findCalibrations,
  findDriftSeries,
  findGoodReadings,
  findSensor,
  isAnswered,
  keepOutcome,
  type Outcome,
  type TrainedSensor,
} from "./store.ts";

export type Answered = Outcome["status"] | "answered before";

/**
 * Answers one request for training: fit, keep, tell. Throws only where PostgreSQL or NATS is away; then the request comes
 * again. `givenUp` says why nothing is tried any more: what is kept is that it failed.
 */
export function answerTraining(parts: {
  pool: pg.Pool;
  bus: Pick<Bus, "jetstream">;
  fitting: Pick<Fitting, "fit">;
  log: Log;
  /** Of what is being written. */
  keeping: Pick<Overdue, "begin">;
}) {
  const { pool, bus, fitting, log, keeping } = parts;
  return async (request: TrainingRequest, givenUp: string | null): Promise<Answered> => {
    if (await isAnswered(pool, request)) return "answered before";
    const startedAt = new Date();
    const sensor = await findSensor(pool, request.sensor_id);
    const outcome: Outcome = givenUp === null ? await attempt(request, sensor) : { status: "failed", error: givenUp };
    using _thread = "trained" in outcome ? outcome.trained : null;
    const isKept = keeping.begin();
    const kept = await keepOutcome(pool, request, sensor, outcome, startedAt).finally(isKept);
    if (kept === null) return "answered before";
    if (kept.model !== null) await tell(kept.model, kept.promoted);
    log.info(
      {
        sensorId: request.sensor_id,
        modelType: request.model_type,
        status: outcome.status,
        error: "error" in outcome ? outcome.error : undefined,
      },
      "trained",
    );
    return outcome.status;
  };

  async function attempt(request: TrainingRequest, sensor: TrainedSensor | null): Promise<Outcome> {
    if (sensor === null) return { status: "failed", error: `Sensor ${request.sensor_id} does not exist` };
    try {
      if (request.model_type === "anomaly") return await fitAnomaly(sensor);
      if (request.model_type === "drift") return await fitDrift(sensor);
      return await fitCalibrations(sensor);
    } catch (error) {
      if (isDatabaseTrouble(error)) throw error;
      log.error({ error, sensorId: sensor.id, modelType: request.model_type }, "training failed");
      return { status: "failed", error: error instanceof Error ? error.message : String(error) };
    }
  }

  async function fitAnomaly(sensor: TrainedSensor): Promise<Outcome> {
    const series = await findGoodReadings(pool, sensor.id);
    const available = series.values.length;
    if (available < READINGS_FOR_ANOMALY_MIN) return shortOf(READINGS_FOR_ANOMALY_MIN, available, "readings");
    const { settings } = sensor.body;
    return { status: "trained", trained: await fitting.fit({ type: "anomaly", series, settings }) };
  }

  async function fitDrift(sensor: TrainedSensor): Promise<Outcome> {
    const found = await findDriftSeries(pool, sensor.id, READINGS_FOR_DRIFT_MIN);
    if (found.readings < READINGS_FOR_DRIFT_MIN)
      return shortOf(READINGS_FOR_DRIFT_MIN, found.series.values.length, "readings");
    return { status: "trained", trained: await fitting.fit({ type: "drift", ...found, body: sensor.body }) };
  }

  async function fitCalibrations(sensor: TrainedSensor): Promise<Outcome> {
    const { calibrations, pairs } = await findCalibrations(pool, sensor.id);
    if (calibrations < CALIBRATIONS_MIN) return shortOf(CALIBRATIONS_MIN, calibrations, "calibrations");
    if (pairs.length < CALIBRATIONS_WITH_READINGS_MIN)
      return shortOf(CALIBRATIONS_WITH_READINGS_MIN, pairs.length, "calibrations with readings before them");
    return { status: "trained", trained: await fitting.fit({ type: "calibration", pairs }) };
  }

  async function tell(model: ModelRow, promoted: boolean): Promise<void> {
    const subject = subjects.modelEvent(model.model_type, model.sensor_id);
    const body = modelBody(model);
    const event = (name: string) => ({
      subject,
      id: `model-${model.id}-${name}`,
      body: JSON.stringify({ event: name, ...body }),
    });
    // A promotion counts from a moment ahead; whoever hears of it finds it in force.
    if (promoted) await pause(FACT_LEAD_MS);
    await say(bus, [event("trained"), ...(promoted ? [event("promoted")] : [])]);
  }
}

const shortOf = (required: number, available: number, what: string): Outcome => ({
  status: "insufficient_data",
  error: `Not enough data: ${required} ${what} needed, ${available} available`,
  required,
  available,
});
