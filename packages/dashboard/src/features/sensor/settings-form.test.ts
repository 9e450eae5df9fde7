import { SETTINGS_DEFAULTS } from "@calibration/shared/sensor.ts";
import { expect, it } from "vitest";
import type { Sensor } from "../../api.ts";
import { changeOf, formOf, numberOf, problemsOf, type SettingsForm } from "./settings-form.ts";

const SENSOR = {
  name: "Tank",
  type: "Pressure",
  unit: "bar",
  expected_interval_s: null,
  range_min: 0,
  range_max: 10,
  baseline: 4.2,
  baseline_given: null,
  settings: { ...SETTINGS_DEFAULTS, contamination: 0.07 },
} as unknown as Sensor;
const form = formOf(SENSOR);
const isZone = (zone: string) => zone === "UTC" || zone === "Europe/Berlin";
const problems = (given: Partial<SettingsForm>) => problemsOf({ ...form, ...given }, isZone);

it("changes what was changed, and nothing else", () => {
  expect(problems({})).toEqual({});
  expect(changeOf(form, form)).toEqual({});
  // A baseline that was measured is not one that somebody has set.
  expect(form.baseline).toBe("");
  expect(changeOf(form, { ...form, rangeMax: "", baseline: "4,25", features: ["hour_of_day", "value"] })).toEqual({
    range_max: null,
    baseline: 4.25,
    settings: { features: ["value", "hour_of_day"] },
  });
  expect(form.contaminationPercent).toBe("7");
  expect(
    changeOf(form, { ...form, contaminationPercent: "0.3", levels: "1 2.5; 8", zone: " Europe/Berlin ", trees: "50" }),
  ).toEqual({ settings: { contamination: 0.003, drift_levels: [1, 2.5, 8], time_zone: "Europe/Berlin", trees: 50 } });
});

it("says of each thing that cannot be what it has to be", () => {
  expect(problems({ rangeMax: "-5" })).toEqual({ rangeMax: "It must lie above the lowest possible value" });
  expect(problems({ rangeMax: "high" })).toEqual({ rangeMax: "A number, or empty" });
  expect(problems({ rangeMin: "", rangeMax: "-5" })).toEqual({});
  expect(Object.keys(problems({ name: " ", interval: "0", rate: "-1", tolerance: "0", baseline: "x" }))).toEqual([
    "name",
    "interval",
    "rate",
    "baseline",
    "tolerance",
  ]);
  expect(problems({ interval: "40000000" })).toEqual({ interval: "At most a year" });
  expect(problems({ trees: "0", subsample: "1.5" })).toEqual({
    trees: "A whole number from 1 to 1000",
    subsample: "A whole number from 2 to 65535",
  });
  expect(problems({ contaminationPercent: "51", falseAlarms: "" })).toEqual({
    falseAlarms: "A number above 0, at most 1000",
    contaminationPercent: "A number above 0, at most 50",
  });
  for (const levels of ["", "1, -5", "one", "1 2 3 4 5 6 7 8 9 10 11"])
    expect(problems({ levels })).toEqual({ levels: "1 to 10 numbers above 0, such as 1, 5" });
  expect(problems({ zone: "Mars" })).toEqual({ zone: "No such time zone. An IANA name, such as Europe/Berlin" });
});

it("reads numbers as people type them", () => {
  expect(["1.5", "0,5", "−3", " 7 "].map(numberOf)).toEqual([1.5, 0.5, -3, 7]);
  for (const none of ["", " ", "x", "1,000.5"]) expect(numberOf(none)).toBeNaN();
});
