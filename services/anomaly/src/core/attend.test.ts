import { SETTINGS_DEFAULTS, type SensorBody } from "@calibration/shared/sensor.ts";
import { expect, it } from "vitest";
import { attendTick, createAttention } from "./attend.ts";
import { createMemory } from "./memory.ts";

const MINUTE_MS = 60_000;
const body: SensorBody = {
  name: "Tank",
  type: "Pressure",
  unit: "bar",
  range_min: null,
  range_max: null,
  expected_interval_s: 60,
  baseline: null,
  settings: { ...SETTINGS_DEFAULTS },
};

/** What a sensor that fell silent comes to, by the minutes after its last reading at which a tick looked at it. */
function afterTicks(minutes: readonly number[]) {
  const attention = { ...createAttention(), arrivedMs: 0, newestMs: 0, live: true };
  const memory = createMemory();
  const told = minutes.flatMap((minute) => attendTick(attention, memory, minute * MINUTE_MS, body));
  return { attention, told: told.map(({ event, episode }) => [event, episode.severity]) };
}

it("a gap comes out the same whichever ticks looked at it in between", () => {
  const often = afterTicks(Array.from({ length: 100 }, (_, minute) => minute));
  const [opened, ...grown] = often.told;
  expect(opened).toEqual(["opened", "Medium"]);
  expect(grown.length).toBeGreaterThan(0);
  // The first that finds it, and those that find it worse.
  const worse = [5, ...severitiesChangeAt()];
  expect(afterTicks(worse)).toEqual(often);
});

/** The minutes at which a tick tells that the gap has become worse. */
function severitiesChangeAt(): number[] {
  const attention = { ...createAttention(), arrivedMs: 0, newestMs: 0, live: true };
  const memory = createMemory();
  return Array.from({ length: 100 }, (_, minute) => minute).filter((minute) =>
    attendTick(attention, memory, minute * MINUTE_MS, body).some(({ event }) => event === "updated"),
  );
}
