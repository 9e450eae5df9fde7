import { expect, it } from "vitest";
import { filterOf, readAnomalySearch } from "./search.ts";

it("shows open alarms where nothing is said, and what is said where it makes sense", () => {
  expect(filterOf(readAnomalySearch({}), 0)).toEqual({ alarm: true, resolved: false });
  expect(filterOf(readAnomalySearch({ flags: true, state: "all", hours: 24, sensor: 17 }), 86_400_000)).toEqual({
    from: "1970-01-01T00:00:00.000Z",
    sensor_id: 17,
  });
  expect(filterOf(readAnomalySearch({ severity: "High", type: "Spike", state: "resolved" }), 0)).toEqual({
    alarm: true,
    resolved: true,
    severity: "High",
    type: "Spike",
  });
  expect(readAnomalySearch({ severity: "Awful", type: 3, hours: "x", state: "?", flags: "no" })).toEqual({});
});
