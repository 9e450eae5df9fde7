/**
 * A calibration model: what a sensor's raw reading should have been, learnt from its recorded calibrations. Five candidates, from
 * "it is right" to a parabola, are compared leave-one-out, and the simplest that is as good as the best is taken: five points do
 * not justify a parabola. The robust line is Huber's (Annals of Mathematical Statistics, 1964) from a Theil–Sen start, and Tukey's from there
 * (Beaton and Tukey, Technometrics 1974; in two steps as Yohai's MM-estimates, Annals of Statistics 1987).
 */
import { PolynomialRegression } from "ml-regression";
import { ArtifactError } from "./artifact.ts";
import { MAD_TO_SIGMA, median } from "./statistics.ts";

/** One calibration: what the sensor said (the mean of the 3 readings before it), and what the reference said. */
export interface CalibrationPair {
  readonly raw: number;
  readonly corrected: number;
  /** When the reference was read, epoch milliseconds: an entry that does not fit is named by it. */
  readonly appliedAtMs?: number;
}

export const CALIBRATIONS_WITH_READINGS_MIN = 3;
/** Older calibrations than the newest so many say little of the sensor as it is. */
export const CALIBRATIONS_FITTED_MAX = 200;

export type CalibrationForm = "identity" | "offset" | "line" | "huber_line" | "parabola";

export interface CalibrationModel {
  readonly form: CalibrationForm;
  /** corrected = c0 + c1·u + c2·u² with u = (raw − centre) / scale. */
  readonly coefficients: readonly [number, number, number];
  readonly centre: number;
  readonly scale: number;
  readonly samples: number;
  /** Robust standard deviation of the leave-one-out residuals, in the sensor's unit. */
  readonly deviation: number;
  /** Sum of squares of u. */
  readonly spread: number;
  readonly rawMin: number;
  readonly rawMax: number;
  /** What whoever reads the model should look at: entries that do not fit, a slope that no sensor has. */
  readonly remarks: readonly string[];
}

export interface Correction {
  readonly value: number;
  /** 95 % prediction interval, in the sensor's unit. */
  readonly lower: number;
  readonly upper: number;
  /** Outside the calibrated range and a tenth: the tangent is followed there, and the interval is doubled. */
  readonly extrapolated: boolean;
}

/** Simplest first. */
const FORMS: readonly CalibrationForm[] = ["identity", "offset", "line", "huber_line", "parabola"];
const PARAMETERS: Readonly<Record<CalibrationForm, number>> = {
  identity: 0,
  offset: 1,
  line: 2,
  huber_line: 2,
  parabola: 3,
};
const PARABOLA_SAMPLES_MIN = 8;
const PARABOLA_DISTINCT_MIN = 4;
/** A residual beyond so many MADs counts as this much: one bad entry must not choose the form. */
const CLIP_MADS = 4;
/** "As good as the best": within this share of the standard error of the paired difference. */
const STANDARD_ERRORS = 0.5;
/** 95 % efficiency where nothing is wrong (Huber). */
const HUBER_K = 1.345;
/** The same of Tukey's biweight. */
const TUKEY_K = 4.685;
const STEPS_MAX = 50;
const SLOPE_MIN = 0.5;
const SLOPE_MAX = 2;
const MARGIN = 0.1;

/**
 * Fits the calibrations of one sensor. Throws a RangeError for fewer than {@link CALIBRATIONS_WITH_READINGS_MIN} finite pairs; how many
 * calibrations a sensor must have is asked by whoever has them.
 *
 * @param pairs the calibrations that have readings before them, oldest first
 */
export function fitCalibration(pairs: readonly CalibrationPair[]): CalibrationModel {
  const usable = pairs
    .filter(({ raw, corrected }) => Number.isFinite(raw) && Number.isFinite(corrected))
    .slice(-CALIBRATIONS_FITTED_MAX);
  if (usable.length < CALIBRATIONS_WITH_READINGS_MIN) {
    throw new RangeError(
      `a calibration needs ${CALIBRATIONS_WITH_READINGS_MIN} pairs of raw and corrected values, and got ${usable.length}`,
    );
  }
  const { centre, scale } = scalingOf(usable);
  const u = usable.map(({ raw }) => (raw - centre) / scale);
  const y = usable.map(({ corrected }) => corrected);
  const form = chooseForm(u, y, centre, scale);
  const coefficients = fitForm(form, u, y, centre, scale);
  const residuals = leaveOneOut(form, u, y, centre, scale);
  const deviation = robustDeviation(residuals, usable.length, form);
  return {
    form,
    coefficients,
    centre,
    scale,
    samples: usable.length,
    deviation,
    spread: u.reduce((sum, x) => sum + x * x, 0),
    rawMin: Math.min(...usable.map(({ raw }) => raw)),
    rawMax: Math.max(...usable.map(({ raw }) => raw)),
    remarks: remarksOn(usable, residuals, coefficients[1] / scale),
  };
}

/** Corrects one raw value. */
export function correctByModel(model: CalibrationModel, raw: number): Correction {
  const margin = MARGIN * (model.rawMax - model.rawMin);
  const inside = Math.min(model.rawMax + margin, Math.max(model.rawMin - margin, raw));
  const at = (inside - model.centre) / model.scale;
  const u = (raw - model.centre) / model.scale;
  const extrapolated = inside !== raw;
  const [c0, c1, c2] = model.coefficients;
  const value = c0 + c1 * at + c2 * at * at + (c1 + 2 * c2 * at) * (u - at);
  const freedom = Math.max(1, model.samples - PARAMETERS[model.form]);
  const leverage = model.spread > 0 ? (u * u) / model.spread : 0;
  const half =
    studentT975(freedom) * model.deviation * Math.sqrt(1 + 1 / model.samples + leverage) * (extrapolated ? 2 : 1);
  return { value, lower: value - half, upper: value + half, extrapolated };
}

/** Each pair's corrected value less what the form says of it when it is fitted on the others. */
export function leaveOneOutResiduals(pairs: readonly CalibrationPair[], form: CalibrationForm): number[] {
  const { centre, scale } = scalingOf(pairs);
  return leaveOneOut(
    form,
    pairs.map(({ raw }) => (raw - centre) / scale),
    pairs.map(({ corrected }) => corrected),
    centre,
    scale,
  );
}

/** Raw sums of 10⁵ pascal lose digits; centred and scaled columns do not. */
function scalingOf(pairs: readonly CalibrationPair[]): { centre: number; scale: number } {
  const centre = pairs.reduce((sum, { raw }) => sum + raw, 0) / pairs.length;
  const scale = Math.sqrt(pairs.reduce((sum, { raw }) => sum + (raw - centre) ** 2, 0) / pairs.length);
  return { centre, scale: scale > 1e-12 * Math.max(1, Math.abs(centre)) ? scale : 1 };
}

type Coefficients = [number, number, number];

function fitForm(
  form: CalibrationForm,
  u: readonly number[],
  y: readonly number[],
  centre: number,
  scale: number,
): Coefficients {
  if (form === "identity") return [centre, scale, 0];
  const offset = mean(y.map((value, i) => value - (centre + scale * u[i]!)));
  if (form === "offset" || new Set(u).size < 2) return [centre + offset, scale, 0];
  if (form === "line") {
    const [c0, c1] = new PolynomialRegression([...u], [...y], 1).coefficients;
    return [c0!, c1!, 0];
  }
  if (form === "huber_line") return robustLine(u, y);
  const [c0, c1, c2] = new PolynomialRegression([...u], [...y], 2).coefficients;
  return [c0!, c1!, c2!];
}

/**
 * Huber's weights from the Theil–Sen line, then Tukey's from there: Huber's bound what a bad entry pulls, Tukey's let go of it. Their scale
 * is that of Huber's residuals and stays, else each entry that is let go would cost the next one its weight.
 */
function robustLine(u: readonly number[], y: readonly number[]): Coefficients {
  const slope = theilSenSlope(u, y);
  const start: Line = { slope, level: median(y.map((value, i) => value - slope * u[i]!)) };
  const huber = reweighted(u, y, start, (z) => Math.min(1, HUBER_K / Math.max(z, Number.MIN_VALUE)));
  const sigma = scaleOf(residualsOf(u, y, huber));
  const tukey = reweighted(u, y, huber, (z) => (z < TUKEY_K ? (1 - (z / TUKEY_K) ** 2) ** 2 : 0), sigma);
  return [tukey.level, tukey.slope, 0];
}

interface Line {
  readonly level: number;
  readonly slope: number;
}

/** Least squares again and again, each time weighted by how many deviations the residuals were off the last time. */
function reweighted(
  u: readonly number[],
  y: readonly number[],
  start: Line,
  weightOf: (deviations: number) => number,
  scale?: number,
): Line {
  let line = start;
  for (let step = 0; step < STEPS_MAX; step++) {
    const residuals = residualsOf(u, y, line);
    const sigma = scale ?? scaleOf(residuals);
    if (!(sigma > 1e-12)) break;
    const weights = residuals.map((residual) => weightOf(Math.abs(residual) / sigma));
    const total = weights.reduce((sum, w) => sum + w, 0);
    const mu = weights.reduce((sum, w, i) => sum + w * u[i]!, 0) / total;
    const my = weights.reduce((sum, w, i) => sum + w * y[i]!, 0) / total;
    const sxx = weights.reduce((sum, w, i) => sum + w * (u[i]! - mu) ** 2, 0);
    if (!(sxx > 1e-12)) break;
    const slope = weights.reduce((sum, w, i) => sum + w * (u[i]! - mu) * (y[i]! - my), 0) / sxx;
    const moved = Math.abs(slope - line.slope);
    line = { slope, level: my - slope * mu };
    if (moved < 1e-10 * Math.max(1, Math.abs(slope))) break;
  }
  return line;
}

const residualsOf = (u: readonly number[], y: readonly number[], { level, slope }: Line): number[] =>
  y.map((value, i) => value - level - slope * u[i]!);
const scaleOf = (residuals: readonly number[]): number => MAD_TO_SIGMA * median(residuals.map(Math.abs));

/** The median of all pairs' slopes. */
function theilSenSlope(u: readonly number[], y: readonly number[]): number {
  const slopes: number[] = [];
  for (let i = 0; i < u.length; i++)
    for (let j = i + 1; j < u.length; j++) if (u[i] !== u[j]) slopes.push((y[j]! - y[i]!) / (u[j]! - u[i]!));
  return slopes.length === 0 ? 0 : median(slopes);
}

function chooseForm(u: readonly number[], y: readonly number[], centre: number, scale: number): CalibrationForm {
  const distinct = new Set(u).size;
  const forms = FORMS.filter(
    (form) => form !== "parabola" || (u.length >= PARABOLA_SAMPLES_MIN && distinct >= PARABOLA_DISTINCT_MIN),
  );
  const residuals = forms.map((form) => leaveOneOut(form, u, y, centre, scale));
  const clip = CLIP_MADS * Math.min(...residuals.map((own) => MAD_TO_SIGMA * median(own.map(Math.abs))));
  const losses = residuals.map((own) =>
    own.map((residual) => Math.min(Math.abs(residual), Math.max(clip, Number.MIN_VALUE))),
  );
  const best = losses.reduce((least, own) => (mean(own) < mean(least) ? own : least));
  const asGood = losses.findIndex((own) => {
    const differences = own.map((loss, i) => loss - best[i]!);
    return mean(differences) <= STANDARD_ERRORS * standardError(differences);
  });
  return forms[asGood]!;
}

function leaveOneOut(
  form: CalibrationForm,
  u: readonly number[],
  y: readonly number[],
  centre: number,
  scale: number,
): number[] {
  return y.map((value, left) => {
    const others = (_: unknown, i: number): boolean => i !== left;
    const [c0, c1, c2] = fitForm(form, u.filter(others), y.filter(others), centre, scale);
    return value - (c0 + c1 * u[left]! + c2 * u[left]! ** 2);
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function standardError(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1) / values.length);
}

/** With few residuals the MAD is too small; the correction is the usual one for the parameters that were fitted. */
function robustDeviation(residuals: readonly number[], samples: number, form: CalibrationForm): number {
  return MAD_TO_SIGMA * median(residuals.map(Math.abs)) * Math.sqrt(samples / Math.max(1, samples - PARAMETERS[form]));
}

function remarksOn(pairs: readonly CalibrationPair[], residuals: readonly number[], slope: number): string[] {
  // Where all others are exact, more than rounding is strange.
  const rounding = 1e-9 * Math.max(...pairs.map(({ raw, corrected }) => Math.max(Math.abs(raw), Math.abs(corrected))));
  const limit = Math.max(rounding, CLIP_MADS * MAD_TO_SIGMA * median(residuals.map(Math.abs)));
  const strange = pairs.flatMap(({ raw, corrected, appliedAtMs }, i) => {
    if (!(Math.abs(residuals[i]!) > limit)) return [];
    const entry = appliedAtMs === undefined ? "" : `of ${new Date(appliedAtMs).toISOString()}, `;
    const off = Math.abs(residuals[i]!).toPrecision(3);
    return [`check the entry ${entry}raw ${raw} → ${corrected}: it is ${off} off the others`];
  });
  return slope < SLOPE_MIN || slope > SLOPE_MAX
    ? [...strange, `a slope of ${slope.toPrecision(3)} is outside ${SLOPE_MIN} to ${SLOPE_MAX}: is the unit right?`]
    : strange;
}

/** The 97.5 % point of Student's t (Abramowitz and Stegun 26.7.5; exact for one and two degrees of freedom). */
export function studentT975(freedom: number): number {
  if (freedom === 1) return 12.706;
  if (freedom === 2) return 4.303;
  const z = 1.959964;
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + g1 / freedom + g2 / freedom ** 2 + g3 / freedom ** 3;
}

const FORMAT = 1;

/** The model as the payload of an artifact: about half a kilobyte of JSON. */
export function encodeCalibrationModel(model: CalibrationModel): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...model }));
}

/** Reads what {@link encodeCalibrationModel} wrote. Throws an ArtifactError for another format, a RangeError for what is no such model. */
export function decodeCalibrationModel(payload: Uint8Array): CalibrationModel {
  const { format, ...model } = JSON.parse(
    new TextDecoder("utf-8", { fatal: true }).decode(payload),
  ) as CalibrationModel & { format: unknown };
  if (format !== FORMAT)
    throw new ArtifactError(
      "model_incompatible",
      `the calibration model has format ${String(format)}, and this code reads format ${FORMAT}`,
    );
  const numbers = [
    ...(model.coefficients ?? []),
    model.centre,
    model.scale,
    model.samples,
    model.deviation,
    model.spread,
    model.rawMin,
    model.rawMax,
  ];
  if (!FORMS.includes(model.form) || numbers.length !== 10 || !numbers.every(Number.isFinite))
    throw new RangeError("a calibration model lacks its numbers");
  return model;
}
