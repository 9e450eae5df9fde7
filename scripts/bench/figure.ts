/** A figure beside its reference: both measured in the same run, in turns, and compared pair by pair. */
import { median } from "@calibration/models/statistics.ts";

export interface Bound {
  kind: "at least" | "at most";
  ratio: number;
}

export interface Figure {
  name: string;
  reference: string;
  unit: string;
  /** Null: it is told, not judged. */
  bound: Bound | null;
  ours: number[];
  theirs: number[];
  /** The median of the pairs' ratios, ours / theirs where more is better or the bound is "at most", theirs / ours for times. */
  ratio: number | null;
  note: string;
}

/** Measures ours and the reference in turns. `faster` inverts the ratio: for times, above 1 means that ours is faster. */
export async function inTurns(parts: {
  name: string;
  reference: string;
  unit: string;
  bound: Bound | null;
  rounds: number;
  ours(): Promise<number>;
  theirs(): Promise<number>;
  faster?: boolean;
  note?: string;
}): Promise<Figure> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < parts.rounds; round++) {
    // Whoever goes first meets the colder machine, so they change places.
    for (const own of round % 2 === 0 ? [true, false] : [false, true]) {
      (own ? ours : theirs).push(await (own ? parts.ours() : parts.theirs()));
    }
  }
  const { name, reference, unit, bound, note = "" } = parts;
  return { name, reference, unit, bound, ours, theirs, ratio: ratioOf(ours, theirs, parts.faster ?? false), note };
}

export function ratioOf(ours: readonly number[], theirs: readonly number[], faster = false): number | null {
  const pairs = ours.flatMap((own, i) => (theirs[i] === undefined ? [] : [faster ? theirs[i] / own : own / theirs[i]]));
  return pairs.length === 0 ? null : median(pairs);
}

export function isMet({ bound, ratio }: Figure): boolean | null {
  if (bound === null || ratio === null) return null;
  return bound.kind === "at least" ? ratio >= bound.ratio : ratio <= bound.ratio;
}

const short = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en").replaceAll(",", " ") : String(Number(value.toPrecision(3)));
const middle = (values: readonly number[]): string => (values.length === 0 ? "–" : short(median(values)));

/** A plain table in Markdown, so that a run can be pasted where it is wanted. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const met = isMet(figure);
    return [
      figure.name,
      `${middle(figure.ours)} ${figure.unit}`,
      `${figure.reference}: ${middle(figure.theirs)}`,
      figure.ratio === null ? "–" : figure.ratio.toPrecision(3),
      figure.bound === null ? "" : `${figure.bound.kind === "at least" ? "≥" : "≤"} ${figure.bound.ratio}`,
      met === null ? "" : met ? "yes" : "NO",
      figure.note,
    ];
  });
  const head = ["figure", "ours", "reference", "ratio", "must reach", "reached", "note"];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
