/**
 * The simulated plant: seven sensors with the ids and names of the original system. What a sensor would measure at an instant is a
 * function of the seed and the instant alone, so that history can be made again, reading by reading.
 */
import { createRandom } from "@calibration/models/random.ts";
import type { SensorType } from "@calibration/shared/sensor.ts";

export interface DemoSensor {
  id: number;
  name: string;
  type: SensorType;
  rangeMin: number;
  rangeMax: number;
  level: number;
  /** Half the swing of the day, warmest at three in the afternoon. */
  daily: number;
  /** How much the plant's load adds; it runs from six to ten, less at the weekend. */
  load: number;
  /** Slow wandering, over hours; and the noise of a reading. */
  wander: number;
  noise: number;
  /** Over the thirty days, in the sensor's unit. */
  drift: number;
  /** What the sensor makes of the truth. */
  gain: number;
  offset: number;
}

const sound = { drift: 0, gain: 1, offset: 0 };

export const DEMO_SENSORS: readonly DemoSensor[] = [
  {
    ...sound,
    id: 13,
    name: "Cooling Tank Pressure",
    type: "Pressure",
    rangeMin: 0,
    rangeMax: 10,
    level: 4.2,
    daily: 0.06,
    load: 0.08,
    wander: 0.03,
    noise: 0.03,
    gain: 1.04,
    offset: -0.08,
  },
  {
    ...sound,
    id: 14,
    name: "Humidity Chamber Sensor",
    type: "Humidity",
    rangeMin: 0,
    rangeMax: 100,
    level: 55,
    daily: 1.5,
    load: 0.8,
    wander: 0.4,
    noise: 0.4,
  },
  {
    ...sound,
    id: 15,
    name: "Conveyor Vibration Sensor",
    type: "Vibration",
    rangeMin: 0,
    rangeMax: 50,
    level: 2.4,
    daily: 0.03,
    load: 0.06,
    wander: 0.02,
    noise: 0.06,
  },
  {
    ...sound,
    id: 17,
    name: "Reactor Temp Sensor",
    type: "Temperature",
    rangeMin: -20,
    rangeMax: 250,
    level: 82,
    daily: 0.8,
    load: 1.2,
    wander: 0.4,
    noise: 0.3,
  },
  {
    ...sound,
    id: 18,
    name: "Compressor Pressure Sensor",
    type: "Pressure",
    rangeMin: 0,
    rangeMax: 20,
    level: 7.5,
    daily: 0.08,
    load: 0.12,
    wander: 0.04,
    noise: 0.05,
    drift: 0.15,
  },
  {
    ...sound,
    id: 19,
    name: "Warehouse Humidity Sensor",
    type: "Humidity",
    rangeMin: 0,
    rangeMax: 100,
    level: 48,
    daily: 1.2,
    load: 0.3,
    wander: 0.35,
    noise: 0.3,
    drift: -1.0,
  },
  {
    ...sound,
    id: 20,
    name: "Motor Vibration Sensor",
    type: "Vibration",
    rangeMin: 0,
    rangeMax: 50,
    level: 3.6,
    daily: 0.04,
    load: 0.08,
    wander: 0.03,
    noise: 0.08,
  },
];

export const DEMO_SEED = 42;
export const HISTORY_DAYS = 30;
export const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Sensors send three decimals. */
const RESOLUTION = 1000;
/** The plant runs at less on Saturdays and Sundays. */
const WEEKEND_LOAD = 0.7;
/** The load comes and goes over half an hour. */
const LOAD_EDGE_HOURS = 0.5;

/** What is true at the sensor's place, in its unit. `epochMs` is when its drift was still nothing. */
export function truthAt(sensor: DemoSensor, timestampMs: number): number {
  const hour = (timestampMs % DAY_MS) / HOUR_MS;
  const day = Math.floor(timestampMs / DAY_MS);
  const isWorkday = (day + 3) % 7 < 5;
  const running = edge(hour - 6) * edge(22 - hour) * (isWorkday ? 1 : WEEKEND_LOAD);
  return (
    sensor.level +
    sensor.daily * Math.cos(((hour - 15) / 24) * 2 * Math.PI) +
    sensor.load * running +
    sensor.wander * wanderAt(sensor.id, timestampMs)
  );
}

/** What the sensor says, without faults. */
export function measuredAt(sensor: DemoSensor, timestampMs: number, epochMs: number): number {
  const noise = createRandom(DEMO_SEED + sensor.id, Math.floor(timestampMs / 1000) % 2 ** 31).normal();
  const drifted = sensor.drift * Math.min(1, Math.max(0, (timestampMs - epochMs) / (HISTORY_DAYS * DAY_MS)));
  return rounded(sensor.gain * truthAt(sensor, timestampMs) + sensor.offset + drifted + sensor.noise * noise);
}

export const rounded = (value: number): number => Math.round(value * RESOLUTION) / RESOLUTION;

const edge = (hours: number): number => Math.min(1, Math.max(0, hours / LOAD_EDGE_HOURS + 0.5));

/** Smooth between values that are drawn for every third hour. */
function wanderAt(id: number, timestampMs: number): number {
  const place = timestampMs / (3 * HOUR_MS);
  const before = Math.floor(place);
  const drawn = (n: number): number => createRandom(DEMO_SEED * 1000 + id, n % 2 ** 31).normal();
  const share = (1 - Math.cos((place - before) * Math.PI)) / 2;
  return drawn(before) * (1 - share) + drawn(before + 1) * share;
}
