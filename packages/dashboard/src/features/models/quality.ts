/** What was measured of a model on data it had not seen, in words; what was not measured says why. */
import type { Model } from "../../api.ts";
import { formatShare } from "../../format.ts";

export interface Quality {
  /** The one figure that versions are compared by; null where it was not measured. */
  value: number | null;
  /** What the figure is. */
  name: string;
  words: string;
}

const NAMES: Readonly<Record<Model["model_type"], string>> = {
  anomaly: "injected faults found",
  drift: "better than the last value",
  calibration: "error removed",
};

export function qualityOf({ model_type: type, metrics }: Pick<Model, "model_type" | "metrics">): Quality {
  const name = NAMES[type];
  const figure = metrics[type === "anomaly" ? "recall" : type === "drift" ? "skill" : "improvement"];
  if (typeof figure !== "number") {
    const { reason } = metrics;
    return {
      value: null,
      name,
      words: `not measured: ${typeof reason === "string" ? reason : "too little data was held out"}`,
    };
  }
  return { value: figure, name, words: wordsOf(type, figure, metrics) };
}

function wordsOf(type: Model["model_type"], figure: number, metrics: Model["metrics"]): string {
  if (type === "anomaly") {
    const { flagged_share: flagged } = metrics;
    const share = typeof flagged === "number" ? `, flags ${formatShare(flagged)} of ordinary readings` : "";
    return `finds ${formatShare(figure)} of injected faults${share}`;
  }
  if (type === "drift")
    return figure > 0
      ? `errs ${formatShare(figure)} less than the last value would`
      : `errs ${formatShare(-figure)} more than the last value would`;
  return figure >= 0
    ? `removes ${formatShare(figure)} of the error, leave-one-out`
    : `adds ${formatShare(-figure)} to the error, leave-one-out`;
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  isolation_forest: "isolation forest",
  linear_regression: "linear regression",
  blend: "blend",
};
export const algorithmWord = (algorithm: string): string => ALGORITHMS[algorithm] ?? algorithm.replaceAll("_", " ");
