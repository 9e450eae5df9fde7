/**
 * Sums of readings as PostgreSQL's `sum(value::numeric)` has them, to the digit and to the number of decimals: a double
 * stands for the decimal number of 15 digits that is nearest to it, and those are added exactly. So a rollup's sum is the same
 * wherever a batch began, and whoever of the two has added it up.
 */

/** The sum is `units` · 10^-`decimals`, and what of `units` a double does not hold stands in `more`. */
export interface ExactSum {
  units: number;
  more: bigint;
  /** The most that one of its numbers has. */
  decimals: number;
}

const DIGITS = 15;
const UNITS_MAX = 10 ** DIGITS;
/** Up to so many decimals a number is tried without writing it out. A power of ten up to 10^22 is exact. */
const TRIED_DECIMALS_MAX = 9;
const POWERS = Array.from({ length: DIGITS + 1 }, (_, exponent) => 10 ** exponent);

export const createExactSum = (): ExactSum => ({ units: 0, more: 0n, decimals: 0 });

/** @param value finite */
export function addValue(sum: ExactSum, value: number): void {
  // A number of at most 15 digits comes out of a double as it went in, so that what divides back to the double is its decimal number.
  for (let decimals = sum.decimals; decimals <= TRIED_DECIMALS_MAX; decimals++) {
    const units = Math.round(value * POWERS[decimals]!);
    if (units / POWERS[decimals]! !== value || units >= UNITS_MAX || units <= -UNITS_MAX) continue;
    if (decimals !== sum.decimals) rescale(sum, decimals);
    addUnits(sum, units);
    return;
  }
  const { units, decimals } = decimalOf(value);
  if (decimals > sum.decimals) rescale(sum, decimals);
  sum.more += units * 10n ** BigInt(sum.decimals - decimals);
}

/** Adds another sum, which stays as it is. */
export function addSum(sum: ExactSum, { units, more, decimals }: ExactSum): void {
  if (decimals > sum.decimals) rescale(sum, decimals);
  if (decimals === sum.decimals) {
    addUnits(sum, units);
    sum.more += more;
  } else sum.more += (BigInt(units) + more) * 10n ** BigInt(sum.decimals - decimals);
}

/** As PostgreSQL reads a `numeric`. */
export function textOf({ units, more, decimals }: ExactSum): string {
  const total = BigInt(units) + more;
  if (decimals === 0) return String(total);
  const digits = String(total < 0n ? -total : total).padStart(decimals + 1, "0");
  return `${total < 0n ? "-" : ""}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

function addUnits(sum: ExactSum, units: number): void {
  const total = sum.units + units;
  if (Number.isSafeInteger(total)) sum.units = total;
  else {
    sum.more += BigInt(sum.units) + BigInt(units);
    sum.units = 0;
  }
}

function rescale(sum: ExactSum, decimals: number): void {
  const total = (BigInt(sum.units) + sum.more) * 10n ** BigInt(decimals - sum.decimals);
  const fits = total > -BigInt(UNITS_MAX) && total < BigInt(UNITS_MAX);
  sum.units = fits ? Number(total) : 0;
  sum.more = fits ? 0n : total;
  sum.decimals = decimals;
}

/** The nearest decimal number of 15 digits, of two that are as near the even one, without the zeros at its end. */
function decimalOf(value: number): { units: bigint; decimals: number } {
  const [mantissa, exponent] = nearest(value).split("e") as [string, string];
  const [whole, fraction] = mantissa.split(".") as [string, string | undefined];
  const kept = (fraction ?? "").replace(/0+$/, "");
  const decimals = kept.length - Number(exponent);
  const units = BigInt(whole + kept);
  return decimals >= 0 ? { units, decimals } : { units: units * 10n ** BigInt(-decimals), decimals: 0 };
}

/** JavaScript rounds a tie away from zero, and the C library to even: where there is one, the double ends with its 16th digit, a 5. */
function nearest(value: number): string {
  const rounded = value.toExponential(DIGITS - 1);
  const longer = value.toExponential(DIGITS);
  const [mantissa, exponent] = longer.split("e") as [string, string];
  if (!mantissa.endsWith("5")) return rounded;
  // oxlint-disable-next-line oxc/number-arg-out-of-range -- the language allows 100 digits; the rule counts as before 2018
  const whole = value.toExponential(60).split("e")[0]!.replace(/0+$/, "");
  if (whole !== mantissa) return rounded;
  const below = mantissa.slice(0, -1);
  return Number(below.at(-1)) % 2 === 0 ? `${below}e${exponent}` : rounded;
}
