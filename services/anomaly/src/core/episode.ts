/**
 * Episodes: one object for one stretch in which a sensor was unlike itself. Opened by a flag, counted up, confirmed as an
 * alarm, typed and graded when there is enough to see, closed when the sensor has been usual again for a while.
 */
import type { AnomalyMethod, AnomalyType, Severity } from "@calibration/shared/anomaly.ts";
import { SEVERITIES } from "@calibration/shared/anomaly.ts";
import { atWorst, type Judgement } from "./judge.ts";

/** So many usual readings in a row end an episode. */
export const USUAL_TO_CLOSE = 12;

export interface Episode {
  startedMs: number;
  lastSeenMs: number;
  count: number;
  type: AnomalyType | null;
  severity: Severity;
  alarm: boolean;
  method: AnomalyMethod;
  value: number | null;
  expected: number | null;
  deviation: number | null;
  score: number | null;
  modelVersion: number | null;
  explanation: Record<string, unknown>;
  /** Readings since it was opened, and since it became an alarm; what is decided again is decided on these. */
  readings: number;
  readingsSinceAlarm: number;
  usualInARow: number;
  /** An absence of readings: ended by the next reading, not by usual ones. */
  gap: boolean;
  resolved: boolean;
  resolvedBy: string | null;
  resolvedMs: number | null;
  note: string | null;
}

export type EpisodeEvent = "opened" | "updated" | "resolved";

export function openEpisode(timestampMs: number, judgement: Judgement): Episode {
  return {
    startedMs: timestampMs,
    lastSeenMs: timestampMs,
    count: 1,
    type: judgement.isDropout ? "Dropout" : null,
    severity: judgement.alarm ? "Medium" : "Low",
    alarm: judgement.alarm,
    method: judgement.method,
    value: judgement.value,
    expected: judgement.expected,
    deviation: judgement.deviation,
    score: judgement.score,
    modelVersion: judgement.modelVersion,
    explanation: judgement.explanation,
    readings: 0,
    readingsSinceAlarm: 0,
    usualInARow: 0,
    gap: false,
    resolved: false,
    resolvedBy: null,
    resolvedMs: null,
    note: null,
  };
}

/** Takes in a flagged reading; true where type, severity or alarm changed. */
export function continueEpisode(episode: Episode, timestampMs: number, judgement: Judgement): boolean {
  episode.count++;
  episode.lastSeenMs = timestampMs;
  episode.usualInARow = 0;
  const worse = Math.abs(judgement.deviation ?? 0) > Math.abs(episode.deviation ?? 0);
  const confirmed = judgement.alarm && !episode.alarm;
  if (worse || confirmed) {
    // The worst reading is what is shown; an alarm's own words are not lost to a mere flag, and its sentence names both.
    if (worse) {
      episode.value = judgement.value;
      episode.expected = judgement.expected;
      episode.deviation = judgement.deviation;
    }
    if (confirmed || !episode.alarm || judgement.alarm) {
      episode.score = judgement.score;
      episode.method = judgement.method;
      episode.modelVersion = judgement.modelVersion;
      episode.explanation = judgement.explanation;
    } else {
      const sentence = atWorst(String(episode.explanation["sentence"]), judgement.value, judgement.expected);
      episode.explanation = { ...episode.explanation, sentence };
    }
  }
  if (confirmed) {
    episode.alarm = true;
    episode.readingsSinceAlarm = 0;
    raise(episode, "Medium");
  }
  const dropout = judgement.isDropout && episode.type !== "Dropout";
  if (dropout) episode.type = "Dropout";
  return confirmed || dropout;
}

/** Counts a reading of the sensor, flagged or not; true when the episode has ended. */
export function countReading(episode: Episode, flagged: boolean): boolean {
  episode.readings++;
  if (episode.alarm) episode.readingsSinceAlarm++;
  if (flagged) return false;
  episode.usualInARow++;
  return episode.usualInARow >= USUAL_TO_CLOSE;
}

/** Gives a decided type and severity; true where either changed. A flag of the forest alone is at most Low. */
export function grade(episode: Episode, type: AnomalyType | null, severity: Severity): boolean {
  const before = `${episode.type} ${episode.severity}`;
  if (type !== null && episode.type !== "Dropout") episode.type = type;
  episode.severity = episode.alarm ? severity : "Low";
  return before !== `${episode.type} ${episode.severity}`;
}

export function raise(episode: Episode, least: Severity): void {
  if (SEVERITIES.indexOf(episode.severity) < SEVERITIES.indexOf(least)) episode.severity = least;
}

export function resolve(episode: Episode, by: "itself" | "person", atMs: number, note: string | null = null): void {
  episode.resolved = true;
  episode.resolvedBy = by;
  episode.resolvedMs = atMs;
  if (note !== null) episode.note = note;
}

/** An absence: the first moment at which the next reading was overdue. */
export function openGap(overdueMs: number, intervals: number, detail: string): Episode {
  return {
    ...openEpisode(overdueMs, {
      flagged: true,
      alarm: true,
      method: "rule",
      value: 0,
      expected: null,
      deviation: null,
      score: null,
      modelVersion: null,
      isDropout: true,
      explanation: { sentence: `No reading since: ${detail}.`, rules: [{ rule: "gap", detail }] },
    }),
    value: null,
    severity: severityOfGap(intervals),
    gap: true,
  };
}

/** A gap of so many of the sensor's intervals. */
export const severityOfGap = (intervals: number): Severity =>
  intervals >= GAP_INTERVALS_CRITICAL ? "Critical" : intervals >= GAP_INTERVALS_HIGH ? "High" : "Medium";

export const GAP_INTERVALS_HIGH = 12;
export const GAP_INTERVALS_CRITICAL = 36;
