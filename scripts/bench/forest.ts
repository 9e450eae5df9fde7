/** Our isolation forest beside scikit-learn's and `ml-isolation-forest`, on the same arrays. `npm run bench:models` tells more of it. */
import { fitIsolationForest, scoreReading, scoreRows } from "@calibration/models/isolation-forest.ts";
import { createRandom } from "@calibration/models/random.ts";
import { median } from "@calibration/models/statistics.ts";
import { IsolationForest as MlIsolationForest } from "ml-isolation-forest";
import { spawnSync } from "node:child_process";
import type { Bound, Figure } from "./figure.ts";

const FITTED = 10_000;
const SCORED = 100_000;
const COLUMNS = 3;
const PYTHON_MS_MAX = 300_000;
const PYTHONS = ["python3", "/usr/bin/python3", "python"];

interface Peer {
  name: string;
  fitMs: number[];
  scoreMs: number[];
}

export function forestFigures(quick: boolean, rounds: number): Figure[] {
  const rows = makeRows(FITTED, 7);
  const scored = makeRows(SCORED, 8);
  const forest = fitIsolationForest(rows);
  const times = Math.max(rounds, 3);
  const fitMs = timed(times, () => fitIsolationForest(rows));
  // From cold: no hour of the week is compiled yet.
  const scoreMs = timed(times, () => scoreRows({ ...forest, slots: [] }, scored));
  const oneUs = timed(times, () => {
    for (let i = 0; i < SCORED; i++) scoreReading(forest, scored[i * COLUMNS]!, 5, 2);
  }).map((ms) => (ms / SCORED) * 1000);
  const peers = [mlIsolationForest(rows, scored, quick ? 1 : times), scikitLearn(rows, scored, times)];
  return peers.flatMap((peer) => {
    if (typeof peer === "string") return [missing(peer)];
    const bounded = peer.name.startsWith("scikit");
    const figure = (name: string, ours: number[], theirs: number[], unit: string, least: number): Figure => ({
      name,
      reference: peer.name,
      unit,
      bound: bounded ? ({ kind: "at least", ratio: least } satisfies Bound) : null,
      ours,
      theirs,
      ratio: median(theirs) / median(ours),
      note: "times faster",
    });
    return [
      figure(`isolation forest: fit ${FITTED} readings`, fitMs, peer.fitMs, "ms", 10),
      figure(`isolation forest: score ${SCORED} from cold`, scoreMs, peer.scoreMs, "ms", 40),
      figure(
        "isolation forest: one warm score, beside a row of the peer's batch",
        oneUs,
        peer.scoreMs.map((ms) => (ms / SCORED) * 1000),
        "µs",
        100,
      ),
    ];
  });
}

const missing = (why: string): Figure => ({
  name: "isolation forest",
  reference: "scikit-learn",
  unit: "",
  bound: null,
  ours: [],
  theirs: [],
  ratio: null,
  note: why,
});

function mlIsolationForest(rows: Float64Array, scored: Float64Array, times: number): Peer {
  const [table, scoredTable] = [toTable(rows), toTable(scored)];
  const peer = new MlIsolationForest({ nEstimators: 100 });
  peer.train(table);
  return {
    name: "ml-isolation-forest",
    fitMs: timed(times, () => new MlIsolationForest({ nEstimators: 100 }).train(table)),
    scoreMs: timed(times, () => peer.predict(scoredTable)),
  };
}

function scikitLearn(rows: Float64Array, scored: Float64Array, times: number): Peer | string {
  const script = `
import json, sys, time
try:
    import sklearn, numpy
    from sklearn.ensemble import IsolationForest
except ImportError:
    sys.exit(3)
given = json.load(sys.stdin)
rows, scored = numpy.array(given["rows"]), numpy.array(given["scored"])
fits, scorings = [], []
for _ in range(${times}):
    begun = time.perf_counter()
    model = IsolationForest(n_estimators=100, max_samples=256, contamination=0.1, random_state=42).fit(rows)
    fits.append((time.perf_counter() - begun) * 1000)
    begun = time.perf_counter()
    model.score_samples(scored)
    scorings.append((time.perf_counter() - begun) * 1000)
print(json.dumps({"name": "scikit-learn " + sklearn.__version__, "fitMs": fits, "scoreMs": scorings}))`;
  const input = JSON.stringify({ rows: toTable(rows), scored: toTable(scored) });
  for (const python of PYTHONS) {
    const done = spawnSync(python, ["-c", script], { input, encoding: "utf8", timeout: PYTHON_MS_MAX });
    if (done.status === 0) return JSON.parse(done.stdout) as Peer;
  }
  return "no python3 of this system has scikit-learn, so it is not compared with";
}

function timed(times: number, run: () => unknown): number[] {
  run();
  return Array.from({ length: times }, () => {
    const begun = performance.now();
    run();
    return performance.now() - begun;
  });
}

/** A reading a minute with a daily rhythm. */
function makeRows(count: number, seed: number): Float64Array {
  const random = createRandom(seed);
  const rows = new Float64Array(count * COLUMNS);
  for (let i = 0; i < count; i++) {
    const hour = Math.floor(i / 60) % 24;
    const value = 20 + 5 * Math.sin((hour / 24) * 2 * Math.PI) + random.normal();
    rows.set([value, hour, Math.floor(i / 1440) % 7], i * COLUMNS);
  }
  return rows;
}

const toTable = (rows: Float64Array): number[][] =>
  Array.from({ length: rows.length / COLUMNS }, (_, i) => [...rows.subarray(i * COLUMNS, (i + 1) * COLUMNS)]);
