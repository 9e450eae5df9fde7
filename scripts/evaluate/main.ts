/** `npm run evaluate`: what the models are worth, measured here and now. Each figure stands in `docs/MODELS.md` with its meaning. */
import { artifactDigests } from "@calibration/models/evaluation/artifacts.ts";
import { readOptions, wrongUsage } from "../local/options.ts";
import { evaluateBudget } from "./budget.ts";
import { evaluateCalibration } from "./calibration.ts";
import { evaluateDrift } from "./drift.ts";
import { evaluateFaults, evaluateRecordedFaults } from "./faults.ts";
import { evaluateNab } from "./nab.ts";

const USAGE = `npm run evaluate -- (--nab DIR [--out DIR] | --faults [--real DIR] | --drift | --calibration | --budget | --artifacts) [--seed N] [--count N]
  --nab DIR      a folder in the layout of Numenta's benchmark: <category>/<series>.csv with timestamp,value, and windows.json
                 (or labels/combined_windows.json beside data/); its result files go to --out (default .local/nab-results)
  --faults       faults of known kind and size in made signals: the confusion matrix
  --real DIR     with --faults: in every recorded signal under DIR instead (the benchmark's, and tables with a time and numbers)
  --drift        drift forecasts on made histories: skill and coverage
  --calibration  calibrations of made sensors: error in the calibrated range
  --budget       false alarms promised and seen, on made signals and the demo plant; with --nab DIR on that folder too, and its operating points
  --artifacts    digests of one artifact of each kind: the same on every Node.js and every machine
  --seed N       the first seed (default 1001); --count N: cases of each kind`;
const { values } = readOptions(USAGE, {
  nab: { type: "string" },
  out: { type: "string" },
  faults: { type: "boolean" },
  real: { type: "string" },
  drift: { type: "boolean" },
  calibration: { type: "boolean" },
  budget: { type: "boolean" },
  artifacts: { type: "boolean" },
  seed: { type: "string", default: "1001" },
  count: { type: "string" },
});
const seed = Number(values.seed);
const count = values.count === undefined ? undefined : Number(values.count);
if (!Number.isInteger(seed)) wrongUsage(USAGE, `--seed is a whole number, and not ${values.seed}`);
if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= 10_000))
  wrongUsage(USAGE, `--count is 1 to 10000, and not ${values.count}`);
if (values.real !== undefined && values.faults !== true) wrongUsage(USAGE, "--real goes with --faults");
const { nab, faults, drift, calibration, budget, artifacts } = values;
if (nab === undefined && !faults && !drift && !calibration && !budget && !artifacts)
  wrongUsage(USAGE, "say what to evaluate");

try {
  if (budget) evaluateBudget(nab, seed, count ?? 40);
  else if (nab !== undefined) evaluateNab(nab, values.out ?? ".local/nab-results");
  if (values.real !== undefined) evaluateRecordedFaults(values.real, seed, count ?? 8);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
if (faults && values.real === undefined) evaluateFaults(seed, count ?? 100);
if (drift) evaluateDrift(seed, count ?? 48);
if (calibration) evaluateCalibration(seed, count ?? 300);
if (artifacts)
  for (const [kind, digest] of Object.entries(artifactDigests())) console.log(`${kind.padEnd(12)} ${digest}`);
