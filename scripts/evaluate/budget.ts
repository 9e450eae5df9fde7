/**
 * What a false-alarm budget promises, against what comes of it: each sensor at the threshold of its budget and of its own history, as the
 * service runs it. A sensor's first day is counted apart: until it is over, the detector cannot know that a day comes round.
 */
import { createSignal } from "@calibration/models/evaluation/faults.ts";
import { DAYS_PER_MONTH, OPERATING_POINTS, thetaForBudget } from "@calibration/models/false-alarm-budget.ts";
import { ALARMS_FROM, type Novelty } from "@calibration/models/novelty.ts";
import { createRandom } from "@calibration/models/random.ts";
import { probationOf, scoreSeries } from "@calibration/models/evaluation/nab-score.ts";
import { DEMO_SENSORS, HISTORY_DAYS, measuredAt, MINUTE_MS } from "../demo/plant.ts";
import { detect } from "./nab.ts";
import { readCorpus, type LabelledSeries } from "./recordings.ts";

const BUDGETS = [0.5, 1, 2, 5];
const DAY_MS = 86_400_000;
const MADE_DAYS = 60;
const MADE_INTERVAL_MS = 300_000;
const START_MS = Date.UTC(2026, 2, 2);

/** A sensor of which it is known when it was usual. */
interface Watched {
  readonly times: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  isFault(index: number): boolean;
}

export function evaluateBudget(folder: string | undefined, seed: number, count: number): void {
  if (folder !== undefined) {
    const corpus = readCorpus(folder);
    printOperatingPoints(corpus);
    print(
      `${corpus.length} series of the folder, outside the labelled windows`,
      corpus.map(({ times, values, windows }) => ({
        times,
        values,
        isFault: (index) => windows.some(({ from, to }) => from <= index && index <= to),
      })),
    );
  }
  print(
    `${count} made signals without faults, ${MADE_DAYS} days at a reading every five minutes, seeds from ${seed}`,
    Array.from({ length: count }, (_, n) => aMadeSignal(seed + n)),
  );
  print(
    `the demo plant's ${DEMO_SENSORS.length} sensors, ${HISTORY_DAYS} days at a reading a minute, no faults`,
    DEMO_SENSORS.map((sensor) => {
      const times = Float64Array.from(
        { length: (HISTORY_DAYS * DAY_MS) / MINUTE_MS },
        (_, i) => START_MS + i * MINUTE_MS,
      );
      return { times, values: times.map((timeMs) => measuredAt(sensor, timeMs, START_MS)), isFault: () => false };
    }),
  );
}

/** The table of `false-alarm-budget.ts`, measured on this folder as the benchmark counts: behind each series' learning time. */
function printOperatingPoints(corpus: readonly LabelledSeries[]): void {
  const days = corpus.reduce(
    (sum, { times }) => sum + (times.at(-1)! - times[Math.min(times.length - 1, probationOf(times.length))]!) / DAY_MS,
    0,
  );
  console.log(`Operating points on ${corpus.length} series, ${days.toFixed(0)} sensor-days\n`);
  console.log("     θ   windows found   false alarms a sensor-day   in the table");
  for (const [theta, perDay] of OPERATING_POINTS) {
    const results = corpus.map(({ times, values, windows }) =>
      scoreSeries(
        values.length,
        windows,
        alarmsOf({ times, values }, () => theta),
      ),
    );
    const sum = (name: "windows" | "found" | "falseAlarms"): number => results.reduce((all, one) => all + one[name], 0);
    console.log(
      `${theta.toFixed(1).padStart(6)}   ${`${sum("found")}/${sum("windows")}`.padStart(13)}   ${(sum("falseAlarms") / days).toFixed(4).padStart(25)}   ${perDay.toFixed(3).padStart(12)}`,
    );
  }
  console.log("");
}

function print(what: string, watched: readonly Watched[]): void {
  console.log(what);
  for (const budget of BUDGETS) {
    const sensors = watched.map((one) => {
      const alarms = alarmsOf(one, ({ shown }) => thetaForBudget(budget, shown)).filter((at) => !one.isFault(at));
      const startMs = one.times[0]!;
      const first = alarms.filter((at) => one.times[at]! - startMs < DAY_MS).length;
      const days = (one.times[one.times.length - 1]! - startMs) / DAY_MS - 1;
      return { first, later: alarms.length - first, days };
    });
    const total = (name: "first" | "later" | "days"): number => sensors.reduce((sum, one) => sum + one[name], 0);
    const perMonth = (later: number, days: number): number => (DAYS_PER_MONTH * later) / days;
    const each = sensors.map(({ later, days }) => perMonth(later, days));
    console.log(
      `  promised ${budget.toFixed(1)} a sensor-month: ${perMonth(total("later"), total("days")).toFixed(2)} seen (${(each.reduce((sum, one) => sum + one, 0) / each.length).toFixed(2)} as a mean of the sensors, ${Math.max(...each).toFixed(1)} of the worst), and ${(total("first") / sensors.length).toFixed(2)} a sensor on its first day`,
    );
  }
  console.log("");
}

const alarmsOf = (series: Pick<Watched, "times" | "values">, theta: (state: Novelty) => number): number[] =>
  detect(series, { theta, alarmsFrom: ALARMS_FROM }).alarms;

function aMadeSignal(seed: number): Watched {
  const signal = createSignal(createRandom(seed, 0));
  const times = Float64Array.from(
    { length: (MADE_DAYS * DAY_MS) / MADE_INTERVAL_MS },
    (_, i) => START_MS + i * MADE_INTERVAL_MS,
  );
  return { times, values: times.map((timeMs) => signal.next(timeMs)), isFault: () => false };
}
