/** `npm run bench`: each benchmark beside its reference, in the same run, as a ratio. A single figure of a shared machine says nothing. */
import {
  fitIsolationForest,
  scoreReading,
  scoreRows,
  encodeIsolationForest,
  decodeIsolationForest,
} from "@calibration/models/isolation-forest.ts";
import { createNovelty, updateNovelty } from "@calibration/models/novelty.ts";
import { createRandom } from "@calibration/models/random.ts";
import { median } from "@calibration/models/statistics.ts";
import { IsolationForest as MlIsolationForest } from "ml-isolation-forest";
import { spawnSync } from "node:child_process";

const ROWS = 10_000;
const SCORED = 20_000;
const ROUNDS = 5;
const COLUMNS = 3;

const rows = makeRows(ROWS);
const scored = makeRows(SCORED);
const table = toTable(rows);
const scoredTable = toTable(scored);

const ours = fitIsolationForest(rows);
const peer = new MlIsolationForest({ nEstimators: 100 });
peer.train(table);

console.log(`Medians of ${ROUNDS} rounds, taken in turns. Ratios are reference / ours: above 1, ours is faster.\n`);
compare(
  `fit an isolation forest, ${ROWS} rows`,
  () => fitIsolationForest(rows),
  "ml-isolation-forest",
  () => {
    new MlIsolationForest({ nEstimators: 100 }).train(table);
  },
);
compare(
  `score ${SCORED} rows`,
  () => scoreRows(ours, scored),
  "ml-isolation-forest",
  () => peer.predict(scoredTable),
);
withScikitLearn();
const bytes = encodeIsolationForest(ours);
compare(
  "load the model",
  () => decodeIsolationForest(bytes),
  "fit it again",
  () => fitIsolationForest(rows),
);
const state = createNovelty();
let second = 0;
compare(
  `judge ${SCORED} readings by the novelty detector`,
  () => scored.forEach((value, i) => i % COLUMNS === 0 && updateNovelty(state, (second += 60), value, 5.5)),
  "the forest alone, one by one",
  () => scored.forEach((value, i) => i % COLUMNS === 0 && scoreReading(ours, value, 5, 2)),
);
console.log(`\nThe artifact has ${bytes.length} bytes.`);

function compare(what: string, own: () => unknown, name: string, reference: () => unknown): void {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, run] of [own, reference].entries()) {
      const begun = performance.now();
      run();
      // The first round warms both up.
      if (round > 0) times[i]!.push(performance.now() - begun);
    }
  }
  const [a, b] = times.map((all) => median(all)) as [number, number];
  console.log(
    `${what.padEnd(56)} ${(b / a).toFixed(2).padStart(9)} × ${name} (${a.toFixed(2)} ms and ${b.toFixed(2)} ms)`,
  );
}

function withScikitLearn(): void {
  const script = `
import json, sys, time
from sklearn.ensemble import IsolationForest
rows = json.load(sys.stdin)
begun = time.perf_counter()
IsolationForest(n_estimators=100, max_samples=256, contamination=0.1, random_state=42).fit(rows)
print((time.perf_counter() - begun) * 1000)`;
  const done = spawnSync("python3", ["-c", script], { input: JSON.stringify(table), encoding: "utf8" });
  if (done.status !== 0) {
    console.log("scikit-learn is not installed here (python3 -m pip install scikit-learn), so it is not compared with");
    return;
  }
  const times = Array.from({ length: ROUNDS }, () => {
    const begun = performance.now();
    fitIsolationForest(rows);
    return performance.now() - begun;
  });
  const own = median(times);
  console.log(
    `${`fit an isolation forest, ${ROWS} rows`.padEnd(56)} ${(Number(done.stdout) / own).toFixed(2).padStart(9)} × scikit-learn (${own.toFixed(2)} ms and ${Number(done.stdout).toFixed(2)} ms)`,
  );
}

function makeRows(count: number): Float64Array {
  const random = createRandom(7);
  const made = new Float64Array(count * COLUMNS);
  for (let i = 0; i < count; i++) {
    const hour = Math.floor(i / 6) % 24;
    made.set(
      [20 + 5 * Math.sin((hour / 24) * 2 * Math.PI) + random.normal(), hour, Math.floor(i / 144) % 7],
      i * COLUMNS,
    );
  }
  return made;
}

function toTable(from: Float64Array): number[][] {
  return Array.from({ length: from.length / COLUMNS }, (_, i) => [...from.subarray(i * COLUMNS, (i + 1) * COLUMNS)]);
}
