/** What was measured of a model on data it had not seen, in words; what was not measured says why. */
import type { Model } from "../../api.ts";
import { formatShare } from "../../format.ts";

export function qualityOf(model: Pick<Model, "model_type" | "metrics">): string {
  const { model_type: type, metrics } = model;
  const figure = figureOf(model, FIGURES[type][0]!.metric);
  if (figure !== null) return wordsOf(type, figure, metrics);
  const { reason } = metrics;
  return `not measured: ${typeof reason === "string" ? reason : "too little data was held out"}`;
}

/** What is measured of a type of model, first what its versions are compared by; shares of one. */
export const FIGURES: Readonly<Record<Model["model_type"], readonly { metric: string; name: string }[]>> = {
  anomaly: [
    { metric: "recall", name: "injected faults found" },
    { metric: "flagged_share", name: "ordinary readings flagged" },
  ],
  drift: [
    { metric: "skill", name: "less error than by the last value" },
    { metric: "coverage", name: "within the forecast’s 90 % interval" },
  ],
  calibration: [{ metric: "improvement", name: "error removed" }],
};

export function figureOf({ metrics }: Pick<Model, "metrics">, metric: string): number | null {
  const figure = metrics[metric];
  return typeof figure === "number" ? figure : null;
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
