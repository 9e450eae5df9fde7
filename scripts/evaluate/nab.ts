/** The novelty detector over a folder in the layout of Numenta's Anomaly Benchmark, with its result files and our own scoring. */
import { normalisedScore, probationOf, scoreSeries, type NabResult } from "@calibration/models/evaluation/nab-score.ts";
import { thetaForBudget } from "@calibration/models/false-alarm-budget.ts";
import {
  ALARMS_FROM,
  createNovelty,
  NOVELTY_FROM,
  THETA_DEFAULT,
  updateNovelty,
  type Novelty,
} from "@calibration/models/novelty.ts";
import { SETTINGS_DEFAULTS } from "@calibration/shared/sensor.ts";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readCorpus, type LabelledSeries } from "./recordings.ts";

const DETECTOR = "calibration_platform";
const DAY_MS = 86_400_000;

interface OperatingPoint {
  name: string;
  folder: string;
  alarmsFrom: number;
  theta(state: Novelty): number;
}

export function evaluateNab(folder: string, out: string): void {
  const all = readCorpus(folder);
  const budget = SETTINGS_DEFAULTS.false_alarms_per_month;
  const points: OperatingPoint[] = [
    {
      name: `as the service runs it, θ = ${THETA_DEFAULT}`,
      folder: DETECTOR,
      alarmsFrom: ALARMS_FROM,
      theta: () => THETA_DEFAULT,
    },
    {
      // As the benchmark's other detectors are: it has a learning time of its own, and the service's is not added to it.
      name: `the detector alone, θ = ${THETA_DEFAULT}, not mute below ${ALARMS_FROM} readings`,
      folder: `${DETECTOR}_alone`,
      alarmsFrom: NOVELTY_FROM,
      theta: () => THETA_DEFAULT,
    },
    {
      name: `as the service runs it, at the default budget of ${budget} false alarm a sensor-month (θ = ${thetaForBudget(budget).toFixed(2)} at first, then by each sensor's own history)`,
      folder: `${DETECTOR}_budget`,
      alarmsFrom: ALARMS_FROM,
      theta: ({ shown }) => thetaForBudget(budget, shown),
    },
    {
      name: `the same budget by the corpus alone (θ = ${thetaForBudget(budget).toFixed(2)})`,
      folder: `${DETECTOR}_table`,
      alarmsFrom: ALARMS_FROM,
      theta: () => thetaForBudget(budget),
    },
  ];
  const windows = all.reduce((sum, one) => sum + one.windows.length, 0);
  const readings = all.reduce((sum, one) => sum + one.values.length, 0);
  console.log(
    `${all.length} series, ${readings} readings, ${windows} labelled windows (our scoring, standard profile)\n`,
  );
  for (const point of points) {
    const { name, folder: detector } = point;
    const results = all.map((series) => {
      const { scores, alarms } = detect(series, point);
      writeResult(join(out, detector, dirname(series.name)), detector, series, scores, alarms);
      return { series, result: scoreSeries(series.values.length, series.windows, alarms) };
    });
    console.log(name);
    for (const [category, own] of Map.groupBy(results, ({ series }) => dirname(series.name))) print(category, own);
    print("all", results);
    console.log("");
  }
  console.log(`Result files for the benchmark's own scorer: ${out}/${DETECTOR}{,_alone,_budget,_table}/`);
}

/** As the anomaly service runs it: every reading in order, on the sensor's own clock (here UTC, the default), without look-ahead. */
export function detect(
  { times, values }: { times: ArrayLike<number>; values: ArrayLike<number> },
  { theta: thetaOf, alarmsFrom }: Pick<OperatingPoint, "theta" | "alarmsFrom">,
): { scores: Float64Array; alarms: number[] } {
  const state = createNovelty();
  const scores = new Float64Array(values.length);
  const alarms: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const theta = thetaOf(state);
    const { score, alarm } = updateNovelty(state, times[i]! / 1000, values[i]!, theta, alarmsFrom);
    if (!alarm) continue;
    alarms.push(i);
    // What alarms is told, and nothing else: ½ at the threshold, towards 1 above it. So the benchmark's own threshold search meets
    // the alarms that the service would have raised, quiet periods and all.
    scores[i] = 1 - 2 ** (-Math.max(score, theta) / theta);
  }
  return { scores, alarms };
}

function writeResult(
  folder: string,
  detector: string,
  { name, timestamps, values, windows }: LabelledSeries,
  scores: Float64Array,
  alarms: readonly number[],
): void {
  mkdirSync(folder, { recursive: true });
  const alarmed = new Set(alarms);
  const lines = timestamps.map((timestamp, i) => {
    const label = windows.some(({ from, to }) => from <= i && i <= to) ? 1 : 0;
    return `${timestamp},${values[i]},${alarmed.has(i) ? scores[i] : 0},${label}`;
  });
  writeFileSync(
    join(folder, `${detector}_${basename(name)}`),
    `timestamp,value,anomaly_score,label\n${lines.join("\n")}\n`,
  );
}

function print(what: string, own: readonly { series: LabelledSeries; result: NabResult }[]): void {
  const results = own.map(({ result }) => result);
  const sum = (name: "windows" | "found" | "falseAlarms"): number => results.reduce((all, one) => all + one[name], 0);
  const days = own.reduce((all, { series: { times } }) => {
    return all + (times.at(-1)! - times[Math.min(times.length - 1, probationOf(times.length))]!) / DAY_MS;
  }, 0);
  const score = sum("windows") === 0 ? "  –  " : normalisedScore(results).toFixed(2);
  console.log(
    `  ${what.padEnd(24)} score ${score.padStart(7)}   windows ${`${sum("found")}/${sum("windows")}`.padStart(7)}   false alarms ${String(sum("falseAlarms")).padStart(4)}, ${(sum("falseAlarms") / days).toFixed(3)} a sensor-day`,
  );
}
