/**
 * The demo plant before the detector, as the anomaly service runs it: a healthy sensor raises next to nothing, and a
 * fault that is asked for is found. No server is needed for that, only the readings and the core.
 */
import { createCalendar } from "@calibration/models/calendar.ts";
import { createRandom } from "@calibration/models/random.ts";
import { ANOMALY_TYPES, type AnomalyType } from "@calibration/shared/anomaly.ts";
import { SETTINGS_DEFAULTS, UNIT_OF_TYPE, type SensorBody } from "@calibration/shared/sensor.ts";
import { describe, expect, it } from "vitest";
import { createFault } from "../scripts/demo/faults.ts";
import { DEMO_SENSORS, HISTORY_DAYS, measuredAt, MINUTE_MS, type DemoSensor } from "../scripts/demo/plant.ts";
import {
  attendReading,
  attendTick,
  createAttention,
  type AttendContext,
  type Attention,
} from "../services/anomaly/src/core/attend.ts";
import { createMemory, decodeMemory, encodeMemory, type Memory } from "../services/anomaly/src/core/memory.ts";

const EPOCH_MS = Date.UTC(2026, 5, 1);
/** Enough for the detector to know a week; more would only take longer. */
const DAYS = 8;
const HEALTHY_DAYS = 3;
const FAULT_MS = 2_000;
const DAY_MS = 86_400_000;
const startMs = EPOCH_MS + (HISTORY_DAYS - DAYS) * DAY_MS;
const liveMs = EPOCH_MS + HISTORY_DAYS * DAY_MS;

interface Alarm {
  timestampMs: number;
  type: AnomalyType | null;
}

interface Stage {
  attention: Attention;
  memory: Memory;
  alarms: Alarm[];
}

const contextOf = (sensor: DemoSensor): AttendContext => {
  const body: SensorBody = {
    name: sensor.name,
    type: sensor.type,
    unit: UNIT_OF_TYPE[sensor.type],
    range_min: sensor.rangeMin,
    range_max: sensor.rangeMax,
    expected_interval_s: null,
    baseline: null,
    settings: { ...SETTINGS_DEFAULTS },
  };
  return {
    body,
    // Without a forest the flags come from the threshold; alarms are the novelty detector's and the watchers' alone.
    model: { model: null, reason: "model_missing" },
    alarmsPerMonth: body.settings.false_alarms_per_month,
    lastCalibrationMs: null,
    calendar: createCalendar("UTC"),
  };
};

function attend(stage: Stage, context: AttendContext, timestampMs: number, value: number): void {
  const reading = { timestampMs, value, storedMs: timestampMs };
  const { changes } = attendReading(stage.attention, stage.memory, reading, context);
  for (const { episode } of changes) note(stage, episode);
}

function note(stage: Stage, episode: { alarm: boolean; startedMs: number; type: AnomalyType | null }): void {
  if (!episode.alarm) return;
  const known = stage.alarms.find(({ timestampMs }) => timestampMs === episode.startedMs);
  if (known === undefined) stage.alarms.push({ timestampMs: episode.startedMs, type: episode.type });
  else known.type = episode.type;
}

function healthy(sensor: DemoSensor, context: AttendContext): Stage {
  const stage: Stage = { attention: createAttention(), memory: createMemory(), alarms: [] };
  for (let at = startMs; at <= liveMs; at += MINUTE_MS) attend(stage, context, at, measuredAt(sensor, at, EPOCH_MS));
  return stage;
}

/** From the healthy sensor on: the fault, and two hours in which it is itself again. */
function misbehave(before: Stage, type: AnomalyType, sensor: DemoSensor, context: AttendContext): Alarm[] {
  const stage: Stage = {
    attention: structuredClone({ ...before.attention, episode: null }),
    memory: decodeMemory(encodeMemory(before.memory)),
    alarms: [],
  };
  const fault = createFault(type, sensor);
  const random = createRandom(7, sensor.id);
  let at = liveMs + MINUTE_MS;
  for (let n = 0; n < fault.readings; n++) {
    const value = fault.change(measuredAt(sensor, at, EPOCH_MS), n, () => random.normal());
    if (value === null) {
      for (const { episode } of attendTick(stage.attention, stage.memory, at, context.body)) note(stage, episode);
    } else attend(stage, context, at, value);
    at += value === null ? MINUTE_MS : FAULT_MS;
  }
  for (let n = 0; n < 120; n++, at += MINUTE_MS) attend(stage, context, at, measuredAt(sensor, at, EPOCH_MS));
  return stage.alarms;
}

describe.each(DEMO_SENSORS.map((sensor) => [sensor.name, sensor] as const))("%s", (_, sensor) => {
  const context = contextOf(sensor);
  const stage = healthy(sensor, context);

  it("raises at most one alarm in its last three healthy days", () => {
    const recent = stage.alarms.filter(({ timestampMs }) => timestampMs >= liveMs - HEALTHY_DAYS * DAY_MS);
    expect(recent.length).toBeLessThanOrEqual(1);
  });

  it.each(ANOMALY_TYPES)("is found when it has the fault %s, and by its name", (type) => {
    // What follows the first alarm is the way back, which is as sudden as the fault was.
    expect(misbehave(stage, type, sensor, context)[0]?.type).toBe(type);
  });
});
