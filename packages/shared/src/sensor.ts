/** A sensor: the thing on the wall. */

export type SensorType = "Temperature" | "Pressure" | "Humidity" | "Vibration" | "Flow";
export const SENSOR_TYPES: readonly SensorType[] = ["Temperature", "Pressure", "Humidity", "Vibration", "Flow"];

export type SensorStatus = "online" | "warning" | "critical" | "offline";
export const SENSOR_STATUSES: readonly SensorStatus[] = ["online", "warning", "critical", "offline"];

export const UNIT_OF_TYPE: Readonly<Record<SensorType, string>> = {
  Temperature: "°C",
  Pressure: "bar",
  Humidity: "%",
  Vibration: "mm/s",
  Flow: "l/min",
};

/** What the isolation forest may look at; `value` is always among it. */
export type ForestFeature = "value" | "hour_of_day" | "day_of_week";

export interface SensorSettings {
  time_zone: string;
  /** Of the isolation forest. */
  features: ForestFeature[];
  trees: number;
  subsample: number;
  contamination: number;
  false_alarms_per_month: number;
  /** In the sensor's unit, round its baseline; null: none given. */
  tolerance: number | null;
  /** The most that the value can change in a minute, in the sensor's unit; null: not watched. */
  rate_per_minute_max: number | null;
  drift_levels: number[];
  promotion: "automatic" | "manual";
}

export const SETTINGS_DEFAULTS: Readonly<SensorSettings> = Object.freeze<SensorSettings>({
  time_zone: "UTC",
  features: ["value", "hour_of_day", "day_of_week"],
  trees: 100,
  subsample: 256,
  contamination: 0.1,
  false_alarms_per_month: 1,
  tolerance: null,
  rate_per_minute_max: null,
  drift_levels: [1, 5],
  promotion: "automatic",
});

/** What may be said anew of a sensor; id, site and key never change. */
export interface SensorBody {
  name: string;
  type: SensorType;
  unit: string;
  range_min: number | null;
  range_max: number | null;
  expected_interval_s: number | null;
  baseline: number | null;
  settings: SensorSettings;
}

/** The unit a new sensor's `expected_interval_s` is learnt in has this floor, seconds. */
export const INTERVAL_S_MIN = 60;
/** A sensor is offline after this many of its intervals without a reading. */
export const OFFLINE_INTERVALS = 4;

/** Milliseconds without a reading after which a sensor is offline. */
export function offlineAfterMs(expectedIntervalS: number | null, learntIntervalS: number | null): number {
  const intervalS = expectedIntervalS ?? Math.max(INTERVAL_S_MIN, learntIntervalS ?? INTERVAL_S_MIN);
  return OFFLINE_INTERVALS * intervalS * 1000;
}
