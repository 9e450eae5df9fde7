/** Calibrations of made sensors whose truth is known: how far the fitted model is off it, over the calibrated range, in the sensor's unit. */
import { correctByModel, fitCalibration, type CalibrationPair } from "../calibration-fit.ts";
import { createRandom, type Random } from "../random.ts";

export interface CalibrationWorld {
  readonly name: string;
  readonly badShare: number;
  truth(raw: number): number;
}

export const CALIBRATION_WORLDS: readonly CalibrationWorld[] = [
  { name: "perfect sensor", badShare: 0, truth: (raw) => raw },
  { name: "offset only", badShare: 0, truth: (raw) => raw + 1.5 },
  { name: "gain and offset", badShare: 0, truth: (raw) => 1.126 * raw - 3.9 },
  { name: "curved", badShare: 0, truth: (raw) => raw + 0.02 * (raw - 50) ** 2 },
  { name: "gain and offset, 10 % bad entries", badShare: 0.1, truth: (raw) => 1.126 * raw - 3.9 },
];

const RAW_FROM = 40;
const RAW_WIDTH = 20;
/** Of the mean of three readings, and of the reference. */
const RAW_NOISE = 0.6 / Math.sqrt(3);
const REFERENCE_NOISE = 0.2;
/** A bad entry is off by so much: a slip of the pen, not a bit of noise. */
const BAD_SIZE = 15;

/** Root mean squared error of one fit, and of plain least squares on the same entries. */
export function runCalibration(
  world: CalibrationWorld,
  count: number,
  seed: number,
): { own: number; leastSquares: number; covered: number } {
  const random = createRandom(seed, count);
  const pairs = aCalibration(world, count, random);
  const model = fitCalibration(pairs);
  const line = leastSquares(pairs);
  let own = 0;
  let plain = 0;
  let covered = 0;
  const STEPS = 20;
  for (let k = 0; k <= STEPS; k++) {
    const raw = RAW_FROM + (RAW_WIDTH * k) / STEPS;
    const truth = world.truth(raw);
    const corrected = correctByModel(model, raw);
    own += (corrected.value - truth) ** 2;
    plain += (line(raw) - truth) ** 2;
    // The interval is that of a new entry: reference and readings scatter as the fitted ones did.
    const entry = world.truth(raw) + REFERENCE_NOISE * random.normal() + RAW_NOISE * random.normal();
    if (corrected.lower <= entry && entry <= corrected.upper) covered++;
  }
  return {
    own: Math.sqrt(own / (STEPS + 1)),
    leastSquares: Math.sqrt(plain / (STEPS + 1)),
    covered: covered / (STEPS + 1),
  };
}

function aCalibration(world: CalibrationWorld, count: number, random: Random): CalibrationPair[] {
  return Array.from({ length: count }, () => {
    const raw = RAW_FROM + RAW_WIDTH * random.float();
    const bad = random.float() < world.badShare ? BAD_SIZE * (random.float() < 0.5 ? -1 : 1) : 0;
    return {
      raw: raw + RAW_NOISE * random.normal(),
      corrected: world.truth(raw) + REFERENCE_NOISE * random.normal() + bad,
    };
  });
}

function leastSquares(pairs: readonly CalibrationPair[]): (raw: number) => number {
  const mx = pairs.reduce((sum, { raw }) => sum + raw, 0) / pairs.length;
  const my = pairs.reduce((sum, { corrected }) => sum + corrected, 0) / pairs.length;
  const sxx = pairs.reduce((sum, { raw }) => sum + (raw - mx) ** 2, 0);
  const slope = pairs.reduce((sum, { raw, corrected }) => sum + (raw - mx) * (corrected - my), 0) / sxx;
  return (raw) => my + slope * (raw - mx);
}
