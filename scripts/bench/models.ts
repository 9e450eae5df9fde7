/**
 * `npm run bench:models`: our isolation forest beside scikit-learn's (where the system's python3 has it) and `ml-isolation-forest`, in the
 * same run on the same rows. Ratios are reference / ours: above 1, ours is faster.
 */
import { rankCorrelation } from "@calibration/models/evaluation/faults.ts";
import { areaUnderCurve, COLUMNS, makeReadings } from "@calibration/models/evaluation/forest.ts";
import {
  decodeIsolationForest,
  encodeIsolationForest,
  fitIsolationForest,
  scoreReading,
  scoreRows,
} from "@calibration/models/isolation-forest.ts";
import { IsolationForest as MlIsolationForest } from "ml-isolation-forest";
import { spawnSync } from "node:child_process";

const FITTED = 10_000;
const SCORED = 100_000;
/** The best of them counts, here and there: whatever else the machine does makes a round slower, never faster (as Python's timeit says). */
const ROUNDS = 15;
const ROUNDS_OF_SLOW = 5;
/** One seed is luck: the areas under the curve are compared over so many, on fewer rows. */
const SEEDS = 20;
const FITTED_BY_SEED = 1_000;
const SCORED_BY_SEED = 20_000;
const PYTHON_MS_MAX = 300_000;
const PYTHONS = ["python3", "/usr/bin/python3"];

const training = makeReadings(FITTED, 7);
const test = makeReadings(SCORED, 8);
const forest = fitIsolationForest(training.rows);
const fitMs = timed(() => fitIsolationForest(training.rows));
const scoreMs = timed(() => scoreRows(forest, test.rows));
let kept = 0;
const oneNs =
  (timed(() => {
    for (let i = 0; i < SCORED; i++) kept += scoreReading(forest, test.rows[i * COLUMNS]!, 5, 2);
  }) *
    1e6) /
  SCORED;
const bytes = encodeIsolationForest(forest);
const loadMs = timed(() => decodeIsolationForest(bytes));
const scores = scoreRows(forest, test.rows);

console.log(
  `${FITTED} rows fitted, ${SCORED} scored; the best of ${ROUNDS} rounds, the first left out (sum ${kept.toFixed(0)})`,
);
console.log(
  `ours: fit ${fitMs.toFixed(1)} ms, score ${scoreMs.toFixed(1)} ms, one warm score ${oneNs.toFixed(0)} ns; AUC ${areaUnderCurve([...scores], test.labels).toFixed(4)}; artifact ${bytes.length} bytes, loads in ${loadMs.toFixed(2)} ms\n`,
);
besideScikitLearn();
besideMlIsolationForest();

interface Reference {
  fit_ms: number;
  score_ms: number;
  scores: number[];
}

function besideScikitLearn(): void {
  const script = `
import json, sys, time
try:
    import sklearn
    from sklearn.ensemble import IsolationForest
    import numpy
except ImportError:
    sys.exit(3)
given = json.load(sys.stdin)
rows, scored = numpy.array(given["rows"]), numpy.array(given["scored"])
fits, scorings = [], []
for _ in range(${ROUNDS_OF_SLOW}):
    begun = time.perf_counter()
    model = IsolationForest(n_estimators=100, max_samples=256, contamination=0.1, random_state=42).fit(rows)
    fits.append(time.perf_counter() - begun)
for _ in range(${ROUNDS_OF_SLOW}):
    begun = time.perf_counter()
    scores = -model.score_samples(scored)
    scorings.append(time.perf_counter() - begun)
other = -IsolationForest(n_estimators=100, max_samples=256, random_state=43).fit(rows).score_samples(scored)
by_seed = [(-IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(rows[:${FITTED_BY_SEED}]).score_samples(scored[:${SCORED_BY_SEED}])).tolist() for seed in range(${SEEDS})]
print(json.dumps({"other": other.tolist(), "by_seed": by_seed, "version": sklearn.__version__, "fit_ms": min(fits) * 1000, "score_ms": min(scorings) * 1000, "scores": scores.tolist()}))`;
  const input = JSON.stringify({ rows: toTable(training.rows), scored: toTable(test.rows) });
  // The PATH's python3 may be a version manager's, and the system's packages belong to the system's own.
  const done = PYTHONS.map((python) =>
    spawnSync(python, ["-c", script], {
      input,
      encoding: "utf8",
      timeout: PYTHON_MS_MAX,
      maxBuffer: 256 * 1024 * 1024,
    }),
  ).find(({ status }) => status === 0);
  if (done === undefined) {
    console.log("scikit-learn: not installed for this system's python3, so not compared with");
    return;
  }
  const reference = JSON.parse(done.stdout) as Reference & { version: string; other: number[]; by_seed: number[][] };
  print(`scikit-learn ${reference.version}`, reference);
  console.log(
    `  one warm score against its batch, a row: ${((reference.score_ms * 1e6) / SCORED / oneNs).toFixed(0)} ×; rank correlation of two of its own seeds ${rankCorrelation(reference.scores, reference.other).toFixed(3)}`,
  );
  const labels = test.labels.slice(0, SCORED_BY_SEED);
  const few = training.rows.slice(0, FITTED_BY_SEED * COLUMNS);
  const scored = test.rows.slice(0, SCORED_BY_SEED * COLUMNS);
  const own = Array.from({ length: SEEDS }, (_, seed) =>
    areaUnderCurve([...scoreRows(fitIsolationForest(few, { seed }), scored)], labels),
  );
  const theirs = reference.by_seed.map((one) => areaUnderCurve(one, labels));
  const mean = (areas: readonly number[]): string => (areas.reduce((sum, area) => sum + area, 0) / SEEDS).toFixed(4);
  console.log(
    `  AUC, mean over ${SEEDS} seeds, ${FITTED_BY_SEED} rows fitted: ours ${mean(own)}, scikit-learn ${mean(theirs)}`,
  );
}

function besideMlIsolationForest(): void {
  const [rows, scored] = [toTable(training.rows), toTable(test.rows)];
  const peer = new MlIsolationForest({ nEstimators: 100 });
  const begun = performance.now();
  peer.train(rows);
  const trained = performance.now();
  const predicted = peer.predict(scored);
  print("ml-isolation-forest", { fit_ms: trained - begun, score_ms: performance.now() - trained, scores: predicted });
}

function print(name: string, { fit_ms: fit, score_ms: score, scores: theirs }: Reference): void {
  console.log(
    `${name}: fit ${fit.toFixed(1)} ms, ${(fit / fitMs).toFixed(1)} ×; score ${score.toFixed(1)} ms, ${(score / scoreMs).toFixed(1)} ×; AUC ${areaUnderCurve(theirs, test.labels).toFixed(4)}; rank correlation with ours ${rankCorrelation([...scores], theirs).toFixed(3)}`,
  );
}

function timed(run: () => unknown): number {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const begun = performance.now();
    run();
    if (round > 0) times.push(performance.now() - begun);
  }
  return Math.min(...times);
}

function toTable(rows: Float64Array): number[][] {
  return Array.from({ length: rows.length / COLUMNS }, (_, i) => [...rows.subarray(i * COLUMNS, (i + 1) * COLUMNS)]);
}
