/** The calibration's error in the calibrated range, beside plain least squares on the same entries. */
import { CALIBRATION_WORLDS, runCalibration } from "@calibration/models/evaluation/calibration.ts";

const SAMPLES = [5, 8, 15, 40];

export function evaluateCalibration(seed: number, count: number): void {
  console.log(
    `${count} sensors each, seeds from ${seed}: mean of their root mean squared errors (least squares), share of new entries in the 95 % interval\n`,
  );
  for (const world of CALIBRATION_WORLDS) {
    const cells = SAMPLES.map((samples) => {
      const runs = Array.from({ length: count }, (_, n) => runCalibration(world, samples, seed + n));
      const error = (name: "own" | "leastSquares"): string =>
        (runs.reduce((sum, run) => sum + run[name], 0) / count).toFixed(2);
      const covered = runs.reduce((sum, run) => sum + run.covered, 0) / count;
      return `n=${samples} ${error("own")} (${error("leastSquares")}) ${(100 * covered).toFixed(0)} %`;
    });
    console.log(`${world.name.padEnd(36)} ${cells.join("   ")}`);
  }
}
