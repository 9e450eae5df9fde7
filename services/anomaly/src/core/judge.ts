/** One reading, judged: what the model or its fallback, the watchers and the novelty detector say of it. */
import {
  expectedValue,
  explainReading,
  scoreReading,
  type IsolationForest,
} from "@calibration/models/isolation-forest.ts";
import { judgeBySorted } from "@calibration/models/robust-threshold.ts";
import type { AnomalyMethod } from "@calibration/shared/anomaly.ts";
import type { FallbackReason } from "@calibration/shared/model.ts";
import type { Folded } from "./memory.ts";

export interface ModelJudgement {
  method: "isolation_forest" | "threshold";
  isAnomaly: boolean;
  score: number;
  threshold: number;
  /** The usual value at this hour, in the sensor's unit, and how far usual readings lie from it. */
  expected: number | null;
  spread: number;
  modelVersion: number | null;
  fallbackReason: FallbackReason | null;
}

export type UsableModel = { model: IsolationForest; version: number } | { model: null; reason: FallbackReason };

export interface Moment {
  hour: number;
  weekday: number;
}

/** By the isolation forest, else by the distance from the recent median; null where neither can say anything. */
export function judgeByModel(
  found: UsableModel,
  recent: { sorted: Float64Array; held: number },
  value: number,
  { hour, weekday }: Moment,
): ModelJudgement | null {
  if (found.model !== null) {
    const score = scoreReading(found.model, value, hour, weekday);
    const usual = expectedValue(found.model, hour, weekday);
    return {
      method: "isolation_forest",
      isAnomaly: score > found.model.threshold,
      score,
      threshold: found.model.threshold,
      expected: usual?.expected ?? null,
      spread: usual?.spread ?? 0,
      modelVersion: found.version,
      fallbackReason: null,
    };
  }
  const judged = judgeBySorted(recent.sorted, recent.held, value);
  if (judged === null) return null;
  const deviation = Math.abs(value - judged.expected);
  return {
    method: "threshold",
    isAnomaly: judged.isAnomaly,
    score: judged.score,
    threshold: judged.threshold,
    expected: judged.expected,
    spread: judged.score > 0 ? deviation / judged.score : 0,
    modelVersion: null,
    fallbackReason: found.reason,
  };
}

/** The band of an explanation reaches so many spreads to either side. */
const BAND_SPREADS = 3;

/** What a reading came to. `flagged` opens or continues an episode; `alarm` confirms it. */
export interface Judgement {
  flagged: boolean;
  alarm: boolean;
  method: AnomalyMethod;
  value: number;
  expected: number | null;
  deviation: number | null;
  score: number | null;
  modelVersion: number | null;
  /** A dropout needs no deciding: a flat line and a sentinel are what a dead sensor says. */
  isDropout: boolean;
  explanation: Record<string, unknown>;
}

export interface Evidence {
  value: number;
  judged: ModelJudgement | null;
  folded: Folded;
  model: UsableModel;
  moment: Moment;
  /** The novelty detector's alarms count from so many readings on. */
  noveltyMuted: boolean;
  statistics: readonly string[];
}

export function weigh({ value, judged, folded, model, moment, noveltyMuted, statistics }: Evidence): Judgement {
  const [finding] = folded.findings;
  const byNovelty = folded.novelty.alarm && !noveltyMuted;
  const byModel = judged?.isAnomaly === true;
  const method: AnomalyMethod =
    finding !== undefined ? "rule" : byNovelty ? "novelty" : (judged?.method ?? "threshold");
  const expected = finding?.expected ?? judged?.expected ?? null;
  const explanation: Record<string, unknown> = {};
  if (byModel || byNovelty || finding !== undefined) {
    explanation["sentence"] = sentenceOf({
      value,
      expected,
      method,
      judged,
      detail: finding?.detail,
      score: folded.novelty.score,
      theta: folded.novelty.theta,
    });
    if (judged !== null) {
      explanation["model"] = {
        method: judged.method,
        score: judged.score,
        threshold: judged.threshold,
        version: judged.modelVersion,
      };
      if (judged.expected !== null)
        explanation["band"] = [
          judged.expected - BAND_SPREADS * judged.spread,
          judged.expected + BAND_SPREADS * judged.spread,
        ];
      if (judged.fallbackReason !== null) explanation["fallback_reason"] = judged.fallbackReason;
    }
    if (byModel && model.model !== null)
      explanation["features"] = explainReading(model.model, value, moment.hour, moment.weekday);
    if (byNovelty) {
      explanation["novelty"] = {
        score: folded.novelty.score,
        threshold: folded.novelty.theta,
        contributions: contributionsOf(folded.novelty.contributions, statistics),
      };
    }
    if (finding !== undefined) explanation["rules"] = folded.findings.map(({ rule, detail }) => ({ rule, detail }));
  }
  return {
    flagged: byModel || byNovelty || finding !== undefined,
    alarm: byNovelty || finding !== undefined,
    method,
    value,
    expected,
    deviation: expected === null ? null : value - expected,
    score: method === "novelty" ? folded.novelty.score : (judged?.score ?? null),
    modelVersion: method === "isolation_forest" ? (judged?.modelVersion ?? null) : null,
    isDropout: folded.findings.some(({ rule }) => rule === "flat_line" || rule === "sentinel"),
    explanation,
  };
}

/** The statistics that spoke, loudest first, each with its share. */
function contributionsOf(
  contributions: Float64Array,
  statistics: readonly string[],
): { statistic: string; share: number }[] {
  const total = contributions.reduce((sum, one) => sum + one * one, 0);
  return [...contributions]
    .map((one, index) => ({ statistic: statistics[index]!, share: total > 0 ? (one * one) / total : 0 }))
    .filter(({ share }) => share >= 0.01)
    .sort((a, b) => b.share - a.share);
}

function sentenceOf(parts: {
  value: number;
  expected: number | null;
  method: AnomalyMethod;
  judged: ModelJudgement | null;
  detail: string | undefined;
  score: number;
  theta: number;
}): string {
  const { value, expected, method, judged, detail } = parts;
  const usual = expected === null ? "" : `, where ${short(expected)} is usual`;
  if (method === "rule") return `${short(value)} measured${usual}: ${detail}.`;
  if (method === "novelty") {
    // The only alarm below its threshold: it crossed it while alarms were mute, and goes on.
    const since = parts.score < parts.theta ? ", and was more so while it was still learning" : "";
    return `${short(value)} measured${usual}: unlike this sensor's own history${since} (novelty ${short(parts.score)}, alarm at ${short(parts.theta)}).`;
  }
  return `${short(value)} measured${usual}: score ${short(judged?.score ?? 0)}, above the threshold ${short(judged?.threshold ?? 0)} (${method.replace("_", " ")}).`;
}

const AT_WORST = "; at its worst ";

/**
 * The sentence of an alarm whose worst reading came later, as a mere flag: it names both.
 *
 * @example atWorst("9 measured, where 5 is usual: 9 is above its range of 8.", 12, 5) // "9 measured, where 5 is usual: 9 is above its range of 8; at its worst 12, where 5 is usual."
 */
export function atWorst(sentence: string, value: number, expected: number | null): string {
  const [alarm] = sentence.replace(/\.$/, "").split(AT_WORST);
  return `${alarm}${AT_WORST}${short(value)}${expected === null ? "" : `, where ${short(expected)} is usual`}.`;
}

const short = (value: number): string => String(Number(value.toPrecision(4)));
