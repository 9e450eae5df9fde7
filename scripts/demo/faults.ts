/** How a demo sensor misbehaves: what a fault makes of its readings, and for how many of them. */
import type { AnomalyType } from "@calibration/shared/anomaly.ts";
import { rounded, type DemoSensor } from "./plant.ts";

export interface Fault {
  readings: number;
  /** The reading under the fault; null: none is sent. `n` counts from 0. */
  change(value: number, n: number, normal: () => number): number | null;
}

/** How far a sensor's readings usually lie from their middle. */
const usualSpread = (sensor: DemoSensor): number => Math.hypot(sensor.daily, sensor.load, sensor.wander, sensor.noise);

export function createFault(type: AnomalyType, sensor: DemoSensor): Fault {
  const spread = usualSpread(sensor);
  switch (type) {
    case "Spike":
      return { readings: 2, change: (value, n) => (n === 0 ? rounded(value + 12 * spread) : value) };
    case "Dropout":
      return { readings: 8, change: () => null };
    case "Noise":
      return { readings: 40, change: (value, _, normal) => rounded(value + 4 * spread * normal()) };
    case "Drift":
      return { readings: 180, change: (value, n) => rounded(value + (10 * spread * n) / 180) };
    case "Calibration Error":
      return { readings: 90, change: (value) => rounded(value + 8 * spread) };
  }
}
