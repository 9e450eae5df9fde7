/**
 * Attending one sensor: each reading, tick and resolution of the log in order, against the small state that is written
 * with every batch and the memory that is not. Returns what changed, for the store to write and the bus to say.
 */
import { DECIDE_AFTER, classifyEpisode } from "@calibration/models/classify.ts";
import { ALARMS_FROM, NOVELTY_FROM, NOVELTY_STATISTICS } from "@calibration/models/novelty.ts";
import { gapThresholdMs, learntIntervalS, rangeFinding, SENTINELS } from "@calibration/models/watchers.ts";
import type { SensorBody } from "@calibration/shared/sensor.ts";
import { INTERVAL_S_MIN } from "@calibration/shared/sensor.ts";
import {
  continueEpisode,
  countReading,
  GAP_INTERVALS_CRITICAL,
  GAP_INTERVALS_HIGH,
  grade,
  openEpisode,
  openGap,
  resolve,
  severityOfGap,
  type Episode,
  type EpisodeEvent,
} from "./episode.ts";
import { judgeByModel, weigh, type Moment, type UsableModel } from "./judge.ts";
import { fold, recentReadings, RECENT_MAX, sortedRecent, type Memory } from "./memory.ts";

/** A reading this much younger than its arrival was sent as it happened; an older one is a back-fill. */
const LIVE_MS = 5 * 60_000;

/** The state written with every batch: what a crash may not lose. */
export interface Attention {
  /** Of the readings of any quality. */
  newestMs: number | null;
  /** When the last reading of any quality arrived, by NATS, and whether the sensor was live then. */
  arrivedMs: number | null;
  live: boolean;
  readings: number;
  episode: Episode | null;
}

export const createAttention = (): Attention => ({
  newestMs: null,
  arrivedMs: null,
  live: false,
  readings: 0,
  episode: null,
});

export interface Change {
  event: EpisodeEvent;
  episode: Episode;
}

export interface AttendContext {
  body: SensorBody;
  model: UsableModel;
  /** The sensor's false-alarm budget. */
  alarmsPerMonth: number;
  lastCalibrationMs: number | null;
  calendar(timestampMs: number): Moment & { localSeconds: number };
}

export interface AttendedReading {
  timestampMs: number;
  value: number;
  storedMs: number;
}

/** What it came to, and by which method the model's judgement was made (for the count). */
export interface Attended {
  changes: Change[];
  method: string;
  fallbackReason: string | null;
}

const snapshotOf = (event: EpisodeEvent, episode: Episode): Change => ({ event, episode: structuredClone(episode) });

export function attendReading(
  attention: Attention,
  memory: Memory,
  reading: AttendedReading,
  context: AttendContext,
): Attended {
  const changes = attendPresence(attention, memory, reading, context.body);
  const { timestampMs, value } = reading;
  const moment = context.calendar(timestampMs);
  const recent = context.model.model === null ? sortedRecent(memory) : NONE_SORTED;
  const judged = judgeByModel(context.model, recent, value, moment);
  const folded = fold(memory, timestampMs, value, moment.localSeconds, memoryContextOf(context));
  attention.newestMs = timestampMs;
  attention.readings++;
  const judgement = weigh({
    value,
    judged,
    folded,
    model: context.model,
    moment,
    noveltyMuted: memory.novelty.count < ALARMS_FROM,
    statistics: NOVELTY_STATISTICS,
  });

  const { episode } = attention;
  if (episode === null) {
    if (judgement.flagged) {
      attention.episode = openEpisode(timestampMs, judgement);
      changes.push(snapshotOf("opened", attention.episode));
    }
  } else {
    const wasAlarm = episode.alarm;
    const changed = judgement.flagged && continueEpisode(episode, timestampMs, judgement);
    const ended = countReading(episode, judgement.flagged);
    const decides = episode.alarm && wasAlarm && DECIDE_AFTER.includes(episode.readingsSinceAlarm);
    const regraded = (decides || ended) && decide(episode, memory, context);
    if (ended) {
      resolve(episode, "itself", timestampMs);
      changes.push(snapshotOf("resolved", episode));
      attention.episode = null;
    } else if (changed || regraded) changes.push(snapshotOf("updated", episode));
  }
  return { changes, method: judged?.method ?? "none", fallbackReason: judged?.fallbackReason ?? null };
}

const NO_READINGS = new Float64Array(0);
const NONE_SORTED = { sorted: NO_READINGS, held: 0 };

/** A late reading is judged by the model and the range only: it may leave a closed record, never an alarm. */
export function attendLate(reading: AttendedReading, context: AttendContext): Attended {
  const { timestampMs, value } = reading;
  const moment = context.calendar(timestampMs);
  const judged = context.model.model === null ? null : judgeByModel(context.model, NONE_SORTED, value, moment);
  const outside = rangeFinding(value, { rangeMin: context.body.range_min, rangeMax: context.body.range_max });
  const folded = {
    findings: outside === null ? [] : [outside],
    novelty: { score: 0, alarm: false, theta: Infinity, contributions: NO_READINGS },
  };
  const judgement = weigh({
    value,
    judged,
    folded,
    model: context.model,
    moment,
    noveltyMuted: true,
    statistics: NOVELTY_STATISTICS,
  });
  if (!judgement.flagged)
    return { changes: [], method: judged?.method ?? "none", fallbackReason: judged?.fallbackReason ?? null };
  const episode = openEpisode(timestampMs, { ...judgement, alarm: false });
  episode.explanation = { ...episode.explanation, late: true };
  episode.type = "Spike";
  resolve(episode, "itself", timestampMs);
  return {
    changes: [snapshotOf("opened", episode), snapshotOf("resolved", episode)],
    method: judged?.method ?? "none",
    fallbackReason: null,
  };
}

/** A bad reading is presence and no more, but it stands: what comes later for its instant is a repeat. */
export function attendBad(attention: Attention, memory: Memory, reading: AttendedReading, body: SensorBody): Change[] {
  const changes = attendPresence(attention, memory, reading, body);
  if (attention.newestMs === null || reading.timestampMs > attention.newestMs) {
    attention.newestMs = reading.timestampMs;
    memory.newestMs = reading.timestampMs;
  }
  return changes;
}

/** A reading of any quality is presence: it ends a gap, or shows that there was one. */
function attendPresence(attention: Attention, memory: Memory, reading: AttendedReading, body: SensorBody): Change[] {
  const changes: Change[] = [];
  const gap = gapOf(attention, memory, body, reading.storedMs);
  if (attention.episode?.gap !== true && gap !== null && reading.timestampMs > gap.overdueMs)
    changes.push(...beginGap(attention, memory, gap));
  const { episode } = attention;
  if (episode?.gap === true) {
    episode.lastSeenMs = Math.max(reading.timestampMs, episode.startedMs);
    resolve(episode, "itself", Math.max(reading.timestampMs, episode.startedMs));
    changes.push(snapshotOf("resolved", episode));
    attention.episode = null;
  }
  attention.arrivedMs = reading.storedMs;
  attention.live = reading.storedMs - reading.timestampMs <= LIVE_MS;
  return changes;
}

/** Time has passed: is the next reading overdue, and by how much now? */
export function attendTick(attention: Attention, memory: Memory, storedMs: number, body: SensorBody): Change[] {
  const gap = gapOf(attention, memory, body, storedMs);
  if (gap === null) return [];
  const { episode } = attention;
  if (episode?.gap !== true) return beginGap(attention, memory, gap);
  const severity = severityOfGap(gap.intervals);
  // Which ticks look at a gap that is as bad as before depends on the batch they come in; so they leave no trace.
  if (severity === episode.severity) return [];
  episode.severity = severity;
  episode.lastSeenMs = storedMs;
  return [snapshotOf("updated", episode)];
}

interface Gap {
  overdueMs: number;
  intervals: number;
  intervalS: number;
}

/** The gap as it stands at an instant; null where none is known. Only a sensor that was live can be missed. */
function gapOf(attention: Attention, memory: Memory, body: SensorBody, storedMs: number): Gap | null {
  const intervalS = intervalOf(memory, body);
  if (attention.arrivedMs === null || !attention.live || intervalS === null) return null;
  const silentMs = storedMs - attention.arrivedMs;
  if (silentMs <= gapThresholdMs(intervalS)) return null;
  return {
    overdueMs: attention.arrivedMs + gapThresholdMs(intervalS),
    intervals: silentMs / (intervalS * 1000),
    intervalS,
  };
}

export function intervalOf(memory: Memory, body: SensorBody): number | null {
  if (body.expected_interval_s !== null) return body.expected_interval_s;
  const learnt = learntIntervalS(memory.watch);
  return learnt === null ? null : Math.max(INTERVAL_S_MIN, learnt);
}

function beginGap(attention: Attention, memory: Memory, gap: Gap): Change[] {
  const changes: Change[] = [];
  const { episode } = attention;
  if (episode !== null) {
    // What was open cannot be watched any further.
    if (episode.type === null) grade(episode, "Spike", episode.severity);
    resolve(episode, "itself", gap.overdueMs);
    changes.push(snapshotOf("resolved", episode));
  }
  const since = new Date(attention.arrivedMs!).toISOString();
  attention.episode = openGap(
    gap.overdueMs,
    gap.intervals,
    `the last came at ${since}, one is usual every ${Math.round(gap.intervalS)} s`,
  );
  changes.push(snapshotOf("opened", attention.episode));
  return changes;
}

/** When a tick should look at the sensor again; null while nothing can be missed. */
export function nextLookMs(attention: Attention, memory: Memory, body: SensorBody): number | null {
  const intervalS = intervalOf(memory, body);
  if (attention.arrivedMs === null || !attention.live || intervalS === null) return null;
  const { episode } = attention;
  if (episode?.gap !== true) return attention.arrivedMs + gapThresholdMs(intervalS);
  if (episode.severity === "Critical") return null;
  const intervals = episode.severity === "High" ? GAP_INTERVALS_CRITICAL : GAP_INTERVALS_HIGH;
  return attention.arrivedMs + intervals * intervalS * 1000;
}

/** A person closed the episode that began then; null where it is not the open one. */
export function attendResolution(
  attention: Attention,
  startedMs: number,
  storedMs: number,
  note: string | null,
): Change | null {
  const { episode } = attention;
  if (episode === null || episode.startedMs !== startedMs) return null;
  if (episode.type === null) grade(episode, episode.gap ? "Dropout" : "Spike", episode.severity);
  resolve(episode, "person", storedMs, note);
  attention.episode = null;
  return snapshotOf("resolved", episode);
}

/** Types and grades an episode by what can be seen of it now. */
function decide(episode: Episode, memory: Memory, context: AttendContext): boolean {
  const { times, values } = recentReadings(memory, RECENT_MAX);
  const anchorBack = episode.alarm ? episode.readingsSinceAlarm : episode.readings;
  const nowIndex = times.length - 1;
  const verdict = classifyEpisode(times, values, Math.max(0, nowIndex - anchorBack), nowIndex, {
    intervalS: intervalOf(memory, context.body),
    sentinels: SENTINELS,
    rangeMin: context.body.range_min,
    rangeMax: context.body.range_max,
    tolerance: context.body.settings.tolerance,
    lastCalibrationMs: context.lastCalibrationMs,
    hourOf: (timestampMs) => context.calendar(timestampMs).hour,
  });
  // Over and still undecided, a stretch that came and went is a spike.
  const over = episode.usualInARow > 0 && episode.type === null;
  episode.explanation = { ...episode.explanation, statistics: verdict.statistics };
  return grade(episode, verdict.type ?? (over ? "Spike" : null), verdict.severity);
}

/** How far the sensor's own history has come: "learning: n of N". */
export function learningOf(memory: Memory, hasModel: boolean): { stage: string; readings: number; of: number } {
  const readings = memory.novelty.count;
  if (readings >= ALARMS_FROM) return { stage: "complete", readings: ALARMS_FROM, of: ALARMS_FROM };
  const stage =
    readings >= NOVELTY_FROM ? "novelty" : hasModel ? "isolation_forest" : readings >= 10 ? "threshold" : "watchers";
  return { stage, readings, of: ALARMS_FROM };
}

export const memoryContextOf = (context: Pick<AttendContext, "body" | "alarmsPerMonth">) => ({
  rangeMin: context.body.range_min,
  rangeMax: context.body.range_max,
  expectedIntervalS: context.body.expected_interval_s,
  // A version of the sensor from before there was this setting lacks it.
  ratePerMinuteMax: context.body.settings.rate_per_minute_max ?? null,
  alarmsPerMonth: context.alarmsPerMonth,
});
