import { expect, it } from "vitest";
import type { Anomaly } from "../../api.ts";
import { worstBySensor } from "./worst.ts";

const alarm = (id: number, sensorId: number, severity: Anomaly["severity"]): Anomaly =>
  ({ id, sensor_id: sensorId, severity }) as Anomaly;

it("says of each sensor the gravest alarm, and of equals the newest", () => {
  const results = [alarm(5, 1, "Medium"), alarm(4, 2, "Low"), alarm(3, 1, "High"), alarm(2, 1, "High")];
  const worst = worstBySensor({ count: 4, next: null, results });
  expect([...worst].map(([sensor, { id }]) => [sensor, id])).toEqual([
    [1, 3],
    [2, 4],
  ]);
});
