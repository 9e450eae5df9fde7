/** The demo's past: sensors and calibrations through REST, readings on NATS, as any plant gateway would. */
import { publishBackfill, type Bus } from "@calibration/shared/bus.ts";
import { createRandom } from "@calibration/models/random.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { RestError, type Rest } from "../local/rest.ts";
import {
  DEMO_SEED,
  DEMO_SENSORS,
  HISTORY_DAYS,
  measuredAt,
  MINUTE_MS,
  rounded,
  truthAt,
  type DemoSensor,
} from "./plant.ts";

const SITE = "main";
const READINGS_PER_MESSAGE = 1000;
/** Publishes that wait for their acknowledgement at a time. */
const IN_FLIGHT_MAX = 8;
const CALIBRATED_ID = 13;
const CALIBRATIONS = 8;
const DAY_MS = 86_400_000;
/** What a reference instrument is off by. */
const REFERENCE_NOISE = 0.01;

export const READINGS_PER_SENSOR = (HISTORY_DAYS * DAY_MS) / MINUTE_MS;
export const HISTORY_READINGS = READINGS_PER_SENSOR * DEMO_SENSORS.length;

/** Makes the sensors that are missing; true where at least one was. */
export async function makeSensors(rest: Rest): Promise<boolean> {
  let made = false;
  for (const { id, name, type, rangeMin, rangeMax } of DEMO_SENSORS) {
    try {
      await rest("POST", "/api/sensors/", { id, name, type, site: SITE, range_min: rangeMin, range_max: rangeMax });
      made = true;
    } catch (error) {
      if (!(error instanceof RestError && error.status === 409)) throw error;
    }
  }
  return made;
}

/** Eight calibrations of the cooling tank's sensor, three days apart. */
export async function makeCalibrations(rest: Rest, endMs: number): Promise<void> {
  const { count } = await rest<{ count: number }>(
    "GET",
    `/api/calibrations/?sensor_id=${CALIBRATED_ID}&limit=${CALIBRATIONS}`,
  );
  const sensor = DEMO_SENSORS.find(({ id }) => id === CALIBRATED_ID)!;
  const random = createRandom(DEMO_SEED, CALIBRATED_ID);
  for (let n = 0; n < CALIBRATIONS; n++) {
    const atMs = endMs - HISTORY_DAYS * DAY_MS + (2 + 3 * n) * DAY_MS + 3 * n * 3_600_000 + 30_000;
    const corrected = rounded(truthAt(sensor, atMs) + REFERENCE_NOISE * random.normal());
    if (n >= count)
      await rest("POST", "/api/calibrations/", {
        sensor_id: CALIBRATED_ID,
        corrected_value: corrected,
        applied_at: new Date(atMs).toISOString(),
      });
  }
}

/** Publishes thirty days at a reading a minute, the last of them at `endMs`. Publishing it again adds nothing. */
export async function publishHistory(bus: Bus, endMs: number, progress: (readings: number) => void): Promise<void> {
  const startMs = endMs - HISTORY_DAYS * DAY_MS;
  let published = 0;
  let underWay: Promise<unknown>[] = [];
  for (let from = 1; from <= READINGS_PER_SENSOR; from += READINGS_PER_MESSAGE) {
    for (const sensor of DEMO_SENSORS) {
      const readings = historyOf(sensor, startMs, from, Math.min(from + READINGS_PER_MESSAGE, READINGS_PER_SENSOR + 1));
      underWay.push(publishBackfill(bus, subjects.reading(SITE, String(sensor.id)), JSON.stringify(readings)));
      published += readings.length;
      if (underWay.length >= IN_FLIGHT_MAX) {
        await Promise.all(underWay);
        underWay = [];
        progress(published);
      }
    }
  }
  await Promise.all(underWay);
  progress(published);
}

function historyOf(
  sensor: DemoSensor,
  startMs: number,
  from: number,
  to: number,
): { value: number; timestamp: number }[] {
  return Array.from({ length: to - from }, (_, k) => {
    const timestamp = startMs + (from + k) * MINUTE_MS;
    return { value: measuredAt(sensor, timestamp, startMs), timestamp };
  });
}
