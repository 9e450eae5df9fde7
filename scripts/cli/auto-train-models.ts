/** `npm run auto-train-models`: trains what is due, once or again and again. */
import { ARTIFACT_FORMAT_VERSION } from "@calibration/models/artifact.ts";
import { untilStopped } from "@calibration/shared/lifetime.ts";
import { findDue, MODEL_AGE_DAYS_MAX } from "@calibration/shared/training.ts";
import { readOptions, wrongUsage } from "../local/options.ts";
import { openTrainingClient, printOutcome } from "../local/training-client.ts";

const USAGE = `npm run auto-train-models -- [--interval SECONDS] [--run-once] [--max-age-days N]
  trains what is due every SECONDS (default 3600), until it is stopped; with --run-once only now`;
const INTERVAL_S_MAX = 30 * 86_400;
const { values } = readOptions(USAGE, {
  interval: { type: "string", default: "3600" },
  "run-once": { type: "boolean" },
  "max-age-days": { type: "string", default: String(MODEL_AGE_DAYS_MAX) },
});
const intervalS = Number(values.interval);
const maxAgeDays = Number(values["max-age-days"]);
if (!(intervalS >= 1 && intervalS <= INTERVAL_S_MAX))
  wrongUsage(USAGE, `--interval is 1 to ${INTERVAL_S_MAX} seconds, and not ${values.interval}`);
if (!(Number.isInteger(maxAgeDays) && maxAgeDays >= 1))
  wrongUsage(USAGE, `--max-age-days is a number of days, and not ${values["max-age-days"]}`);

await using client = await openTrainingClient();
let failed = await trainDue();
if (values["run-once"] !== true) {
  const stopped = untilStopped();
  let over = false;
  void stopped.then(() => (over = true));
  while (!over) {
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, intervalS * 1000).unref())]);
    if (!over) failed = await trainDue();
  }
}
process.exitCode = failed ? 1 : 0;

async function trainDue(): Promise<boolean> {
  const due = await findDue(client.pool, {
    maxAgeDays,
    formatVersion: ARTIFACT_FORMAT_VERSION,
  });
  console.log(due.length === 0 ? "Nothing is due." : `${due.length} models are due.`);
  const outcomes = await client.train(due, "schedule", printOutcome);
  return outcomes.some(({ status }) => status === "failed");
}
