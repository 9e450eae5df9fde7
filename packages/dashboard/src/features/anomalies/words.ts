/** What an anomaly is, in words. */
import type { Anomaly } from "../../api.ts";

export const METHOD_WORDS: Readonly<Record<Anomaly["method"], string>> = {
  isolation_forest: "isolation forest",
  novelty: "novelty detector",
  rule: "rule",
  threshold: "threshold on recent readings",
};

const FEATURE_WORDS: Readonly<Record<string, string>> = {
  value: "the value itself",
  hour_of_day: "the hour of the day",
  day_of_week: "the day of the week",
};

/** What the novelty detector asks of the readings (`novelty.ts` of the models). */
const STATISTIC_WORDS: Readonly<Record<string, string>> = {
  level: "the value itself",
  shift_10: "a step within 10 readings",
  shift_30: "a step within 30 readings",
  shift_100: "a step within 100 readings",
  volatility_30: "how much the last 30 readings swing",
  volatility_100: "how much the last 100 readings swing",
  hour: "the value for this hour of the day",
  hour_10: "the last 10 readings for this hour",
  hour_of_week: "the value for this hour of the week",
};

/** What to do next, by what it is. */
const ADVICE: Readonly<Record<NonNullable<Anomaly["type"]>, string>> = {
  Drift:
    "Hold the sensor against a reference, and record a calibration if it is off; if the process moved, resolve this with a note.",
  "Calibration Error":
    "It has been off by about the same since then: hold it against a reference and record a calibration.",
  Spike: "One wild reading is often the wiring or the process itself. If it comes again, look at the connection.",
  Dropout: "Nothing usable comes from it: look at its power, its wiring and the plant gateway.",
  Noise: "It swings more than it used to: look at grounding, shielding and how it is mounted.",
};
export const adviceFor = ({ type }: Pick<Anomaly, "type">): string =>
  type === null ? "What it is shows in the next readings. Until then, look at the line." : ADVICE[type];

/** Those that a calibration mends. */
export const wantsCalibration = ({ type }: Pick<Anomaly, "type">): boolean =>
  type === "Drift" || type === "Calibration Error";

/** Null while it is undecided: then what raised it is the best name there is. */
export const typeWord = ({ type, alarm }: Pick<Anomaly, "type" | "alarm">): string =>
  type ?? (alarm ? "Undecided" : "Unusual reading");

export interface Share {
  name: string;
  share: number;
}

export interface Explained {
  sentence: string | null;
  judgements: { name: string; score: number; threshold: number; version: number | null }[];
  /** What made it strange, loudest first, with the share of each. */
  features: Share[];
  rules: { rule: string; detail: string }[];
  fallbackReason: string | null;
}

/** Reads what the service wrote beside its judgement; whatever is not there is left out. */
export function readExplanation({ explanation }: Pick<Anomaly, "explanation">): Explained {
  const {
    sentence,
    model,
    novelty,
    features,
    rules,
    fallback_reason: fallback,
  } = explanation as {
    sentence?: string;
    model?: { method: Anomaly["method"]; score: number | null; threshold: number; version: number | null };
    novelty?: { score: number; threshold: number; contributions?: { statistic: string; share: number }[] };
    features?: { feature: string; share: number }[];
    rules?: { rule: string; detail: string }[];
    fallback_reason?: string;
  };
  const judgements: Explained["judgements"] = [];
  if (novelty !== undefined)
    judgements.push({ name: METHOD_WORDS.novelty, score: novelty.score, threshold: novelty.threshold, version: null });
  if (model !== undefined && model.score !== null)
    judgements.push({
      name: METHOD_WORDS[model.method],
      score: model.score,
      threshold: model.threshold,
      version: model.version,
    });
  const shares: Share[] =
    novelty?.contributions !== undefined
      ? novelty.contributions.map(({ statistic, share }) => ({
          name: STATISTIC_WORDS[statistic] ?? statistic.replaceAll("_", " "),
          share,
        }))
      : (features ?? []).map(({ feature, share }) => ({ name: FEATURE_WORDS[feature] ?? feature, share }));
  return {
    sentence: sentence ?? null,
    judgements,
    features: shares.toSorted((a, b) => b.share - a.share),
    rules: rules ?? [],
    fallbackReason: fallback ?? null,
  };
}
