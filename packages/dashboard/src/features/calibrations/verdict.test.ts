import { expect, it } from "vitest";
import type { ListedSensor } from "../../queries.ts";
import { dueOf, whatIsDue } from "./verdict.ts";

const sensor = (id: number, drift: number | null, given: Partial<ListedSensor> = {}, tolerance: number | null = null) =>
  ({
    id,
    drift,
    baseline: 80,
    range_min: null,
    range_max: null,
    settings: { tolerance },
    ...given,
  }) as ListedSensor;

it("holds a sensor against its tolerance in its unit, else against the platform's own limit in percent", () => {
  expect(dueOf(sensor(1, -2.5, {}, 1.5))).toMatchObject({ off: -2, verdict: "due" });
  expect(dueOf(sensor(1, -2.5, {}, 2.4))).toMatchObject({ verdict: "near" });
  expect(dueOf(sensor(1, -2.5, {}, 3))).toMatchObject({ verdict: "fine" });
  expect(dueOf(sensor(1, 5.1))).toMatchObject({ verdict: "due" });
  expect(dueOf(sensor(1, 4.2))).toMatchObject({ verdict: "near" });
  expect(dueOf(sensor(1, null))).toBeNull();
  // A baseline of next to nothing: percent are those of the range, and are no share of the baseline.
  expect(dueOf(sensor(1, 6, { baseline: 0.1, range_min: -50, range_max: 50 }))).toMatchObject({
    off: null,
    verdict: "due",
  });
});

it("shows all that are due, and fills up with those that drift most", () => {
  const sensors = [sensor(1, 1), sensor(2, -7), sensor(3, 9), sensor(4, null), sensor(5, -2), sensor(6, 4.5)];
  expect(whatIsDue(sensors, 2).map((one) => one.sensor.id)).toEqual([3, 2, 6]);
  expect(whatIsDue(sensors, 10).map((one) => one.sensor.id)).toEqual([3, 2, 6, 5, 1]);
});
