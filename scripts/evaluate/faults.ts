/** The confusion matrix on injected faults, and how well the grades follow their sizes. */
import { DECIDE_AFTER } from "@calibration/models/classify.ts";
import {
  FAULT_TYPES,
  rankCorrelation,
  runFault,
  runRecordedFault,
  type FaultCase,
} from "@calibration/models/evaluation/faults.ts";
import { THETA_DEFAULT } from "@calibration/models/novelty.ts";
import { median } from "@calibration/models/statistics.ts";
import { readRecordings } from "./recordings.ts";

const SEVERITIES = ["Low", "Medium", "High", "Critical"];
const WIDTH = 13;

export function evaluateFaults(seed: number, count: number): void {
  const cases = FAULT_TYPES.map((type) =>
    Array.from({ length: count }, (_, n) => runFault(type, seed + n, THETA_DEFAULT)),
  );
  console.log(
    `${count} faults of each type, seeds ${seed} to ${seed + count - 1}, θ = ${THETA_DEFAULT}; the truth is on the left\n`,
  );
  printMatrix(cases);
}

/** The same faults in recorded signals: every recording that is long enough, each type of fault `count` times. */
export function evaluateRecordedFaults(folder: string, seed: number, count: number): void {
  const recordings = readRecordings(folder);
  const runs = recordings
    .map((recording) => ({
      recording,
      cases: FAULT_TYPES.map((type) =>
        Array.from({ length: count }, (_, n) => runRecordedFault(type, recording, seed + n, THETA_DEFAULT)).filter(
          (one) => one !== null,
        ),
      ),
    }))
    .filter(({ cases }) => cases.flat().length > 0);
  console.log(
    `${runs.length} recorded signals, ${count} faults of each type in each, seeds ${seed} to ${seed + count - 1}, θ = ${THETA_DEFAULT}; the truth is on the left\n`,
  );
  printMatrix(FAULT_TYPES.map((_, k) => runs.flatMap(({ cases }) => cases[k]!)));
  console.log(`\n${"by signal".padEnd(56)} detected   types right at +${DECIDE_AFTER.join(", +")}: of those detected`);
  for (const { recording, cases } of runs) {
    const own = cases.flat();
    const found = own.filter(({ detected }) => detected);
    const right = DECIDE_AFTER.map((_, k) => found.filter(({ truth, types }) => types[k] === truth).length);
    console.log(
      `${recording.name.padEnd(56)} ${percent(found.length / own.length).padStart(8)}   ${right.map((n) => percent(n / found.length).padStart(8)).join("  ")}`,
    );
  }
}

function printMatrix(cases: readonly (readonly FaultCase[])[]): void {
  const all = cases.flat();
  const columns = [...FAULT_TYPES, "no name", "missed"];
  for (const [k, after] of DECIDE_AFTER.entries()) {
    console.log(
      `${after} readings after the alarm`.padEnd(2 * WIDTH) +
        columns.map((name) => name.slice(0, WIDTH - 1).padStart(WIDTH)).join(""),
    );
    for (const own of cases) {
      const counted = columns.map((column) => own.filter((one) => said(one, k) === column).length);
      console.log(own[0]!.truth.padEnd(2 * WIDTH) + counted.map((n) => String(n).padStart(WIDTH)).join(""));
    }
    const detected = all.filter(({ detected: found }) => found);
    const right = all.filter((one) => said(one, k) === one.truth).length;
    console.log(
      `types right: ${percent(right / detected.length)} of those detected, ${percent(right / all.length)} of all`,
    );
    const off = detected.map((one) =>
      Math.abs(SEVERITIES.indexOf(one.severities[k]!) - SEVERITIES.indexOf(one.severity)),
    );
    console.log(
      `severity: ${percent(off.filter((d) => d === 0).length / off.length)} as the injected size deserves, ${percent(off.filter((d) => d <= 1).length / off.length)} within one grade; rank correlation of size and deviation ${correlations(cases, k)}\n`,
    );
  }
  const delays = cases.map((own) => `${own[0]!.truth} ${median(own.flatMap(({ delay }) => delay ?? []))}`);
  console.log(`median delay, readings: ${delays.join(", ")}`);
  const falseAlarms = all.reduce((sum, one) => sum + one.falseAlarms, 0);
  const days = all.reduce((sum, one) => sum + one.usualDays, 0);
  console.log(
    `false alarms before the fault, from the third day on: ${falseAlarms} in ${days.toFixed(0)} sensor-days, ${(falseAlarms / days).toFixed(3)} a sensor-day; on the day the detector begins to speak ${(all.reduce((sum, one) => sum + one.youngAlarms, 0) / all.length).toFixed(2)} a sensor`,
  );
}

const said = (one: FaultCase, k: number): string => (one.detected ? (one.types[k] ?? "no name") : "missed");
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function correlations(cases: readonly (readonly FaultCase[])[], k: number): string {
  return cases
    .filter((own) => own[0]!.truth !== "Dropout")
    .map((own) => {
      const found = own.filter(({ detected }) => detected);
      const r = rankCorrelation(
        found.map(({ size }) => size),
        found.map(({ deviations }) => deviations[k]!),
      );
      return `${own[0]!.truth} ${r.toFixed(2)}`;
    })
    .join(", ");
}
