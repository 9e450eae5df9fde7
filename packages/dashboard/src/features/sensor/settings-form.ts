/** A sensor's settings as they are typed, what is wrong with them in words, and what of them is to be changed. */
import { FEATURES } from "@calibration/models/isolation-forest.ts";
import { SETTINGS_DEFAULTS, type ForestFeature } from "@calibration/shared/sensor.ts";
import type { Sensor } from "../../api.ts";
import { formatFigure } from "../../format.ts";

export interface SettingsForm {
  name: string;
  type: string;
  unit: string;
  interval: string;
  rangeMin: string;
  rangeMax: string;
  rate: string;
  baseline: string;
  tolerance: string;
  levels: string;
  falseAlarms: string;
  promotion: string;
  features: readonly ForestFeature[];
  trees: string;
  subsample: string;
  contaminationPercent: string;
  zone: string;
}
export type Problems = Partial<Record<keyof SettingsForm, string>>;

/** The API's own limits. */
const INTERVAL_S_MAX = 31_536_000;
const FALSE_ALARMS_MAX = 1_000;
const TREES_MAX = 1_000;
const SUBSAMPLE_MAX = 65_535;
const CONTAMINATION_PERCENT_MAX = 50;
const LEVELS_MAX = 10;

const {
  trees,
  subsample,
  contamination,
  drift_levels: levels,
  false_alarms_per_month: falseAlarms,
} = SETTINGS_DEFAULTS;
/** What a sensor has of which nothing was said. */
export const DEFAULTS = {
  trees: String(trees),
  subsample: String(subsample),
  contaminationPercent: formatFigure(contamination * 100),
  levels: levels.join(", "),
  falseAlarms: String(falseAlarms),
  zone: SETTINGS_DEFAULTS.time_zone,
  features: wordsOf(SETTINGS_DEFAULTS.features),
};

export function wordsOf(features: readonly ForestFeature[]): string {
  return features.map((feature) => feature.replaceAll("_", " ")).join(", ");
}

const text = (value: number | null): string => (value === null ? "" : String(value));
/** 0.07 is 7 percent, and not 7.000000000000001. */
const percentOf = (share: number): string => String(Number((share * 100).toPrecision(12)));

export const formOf = (sensor: Sensor): SettingsForm => ({
  name: sensor.name,
  type: sensor.type,
  unit: sensor.unit,
  interval: text(sensor.expected_interval_s),
  rangeMin: text(sensor.range_min),
  rangeMax: text(sensor.range_max),
  rate: text(sensor.settings.rate_per_minute_max),
  baseline: text(sensor.baseline_given),
  tolerance: text(sensor.settings.tolerance),
  levels: sensor.settings.drift_levels.join(", "),
  falseAlarms: String(sensor.settings.false_alarms_per_month),
  promotion: sensor.settings.promotion,
  features: sensor.settings.features,
  trees: String(sensor.settings.trees),
  subsample: String(sensor.settings.subsample),
  contaminationPercent: percentOf(sensor.settings.contamination),
  zone: sensor.settings.time_zone,
});

/** As people type a number: with a point or a comma before its decimals, with any minus. NaN for what is none. */
export function numberOf(typed: string): number {
  const plain = typed.trim().replace(",", ".").replace("−", "-");
  return plain === "" ? Number.NaN : Number(plain);
}
const isGiven = (typed: string): boolean => typed.trim() !== "";

/** What was typed that cannot be, each with what it has to be. */
export function problemsOf(form: SettingsForm, isZone: (zone: string) => boolean): Problems {
  const problems: Problems = {};
  const require = (name: keyof SettingsForm, isRight: boolean, words: string) => {
    if (!isRight) problems[name] ??= words;
  };
  const anyNumber = (name: "rangeMin" | "rangeMax" | "baseline") =>
    require(name, !isGiven(form[name]) || Number.isFinite(numberOf(form[name])), "A number, or empty");
  const positive = (name: "interval" | "rate" | "tolerance") =>
    require(name, !isGiven(form[name]) || numberOf(form[name]) > 0, "A number above 0, or empty");
  const whole = (name: "trees" | "subsample", least: number, most: number) => {
    const value = numberOf(form[name]);
    require(name, Number.isInteger(value) &&
      value >= least &&
      value <= most, `A whole number from ${least} to ${most}`);
  };
  const upTo = (name: "falseAlarms" | "contaminationPercent", most: number) => {
    const value = numberOf(form[name]);
    require(name, value > 0 && value <= most, `A number above 0, at most ${most}`);
  };
  require("name", isGiven(form.name), "A sensor has a name");
  positive("interval");
  require("interval", !(numberOf(form.interval) > INTERVAL_S_MAX), "At most a year");
  anyNumber("rangeMin");
  anyNumber("rangeMax");
  require("rangeMax", !(
    numberOf(form.rangeMin) >= numberOf(form.rangeMax)
  ), "It must lie above the lowest possible value");
  positive("rate");
  anyNumber("baseline");
  positive("tolerance");
  const typedLevels = levelsOf(form.levels);
  require("levels", typedLevels.length > 0 &&
    typedLevels.length <= LEVELS_MAX &&
    typedLevels.every((level) => level > 0), `1 to ${LEVELS_MAX} numbers above 0, such as ${DEFAULTS.levels}`);
  upTo("falseAlarms", FALSE_ALARMS_MAX);
  whole("trees", 1, TREES_MAX);
  whole("subsample", 2, SUBSAMPLE_MAX);
  upTo("contaminationPercent", CONTAMINATION_PERCENT_MAX);
  require("zone", isZone(form.zone.trim()), "No such time zone. An IANA name, such as Europe/Berlin");
  return problems;
}

const levelsOf = (typed: string): number[] =>
  typed
    .split(/[,;\s]+/)
    .filter((part) => part !== "")
    .map(Number);

/** What is different from before, as the API takes it: what somebody else has changed meanwhile stays as it is. */
export function changeOf(before: SettingsForm, after: SettingsForm): Record<string, unknown> {
  const orNull = (typed: string): number | null => (isGiven(typed) ? numberOf(typed) : null);
  const as = (form: SettingsForm) => ({
    name: form.name.trim(),
    type: form.type,
    unit: form.unit.trim(),
    expected_interval_s: orNull(form.interval),
    range_min: orNull(form.rangeMin),
    range_max: orNull(form.rangeMax),
    baseline: orNull(form.baseline),
  });
  const settingsAs = (form: SettingsForm) => ({
    rate_per_minute_max: orNull(form.rate),
    tolerance: orNull(form.tolerance),
    drift_levels: levelsOf(form.levels),
    false_alarms_per_month: numberOf(form.falseAlarms),
    promotion: form.promotion,
    features: FEATURES.filter((feature) => form.features.includes(feature)),
    trees: numberOf(form.trees),
    subsample: numberOf(form.subsample),
    contamination: Number((numberOf(form.contaminationPercent) / 100).toPrecision(12)),
    time_zone: form.zone.trim(),
  });
  const settings = differing(settingsAs(before), settingsAs(after));
  return { ...differing(as(before), as(after)), ...(Object.keys(settings).length === 0 ? {} : { settings }) };
}

function differing(before: Record<string, unknown>, after: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])),
  );
}
