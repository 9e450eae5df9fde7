/**
 * What the judgement of a sensor rests on: its recent readings, the watchers' habits, the novelty detector's tails. Too
 * large to write with every batch (about 65 KB), so it is a fold of the log: a snapshot now and then, and the readings
 * since are folded in again when another replica takes over. Folding decides nothing and depends on nothing else.
 */
import { thetaForBudget } from "@calibration/models/false-alarm-budget.ts";
import {
  createNovelty,
  decodeNovelty,
  encodeNovelty,
  updateNovelty,
  type Novelty,
} from "@calibration/models/novelty.ts";
import { RECENT_READINGS, slideSorted } from "@calibration/models/robust-threshold.ts";
import { createWatch, updateWatch, type Watch, type WatchFinding } from "@calibration/models/watchers.ts";

/** The reference of an episode's type: a week at a reading every five minutes, and room for the episode itself. */
export const RECENT_MAX = 2_016 + 128;

export interface Memory {
  /** Of the readings of any quality: what is not newer is not folded. */
  newestMs: number;
  watch: Watch;
  novelty: Novelty;
  /** Rings of the recent readings; `recent` counts all there ever were. */
  times: Instants;
  values: Float64Array;
  recent: number;
  /** The last hundred values, ascending, as of `upTo` readings: only where the fallback judges, and made again from the rings. */
  ascending: { sorted: Float64Array; held: number; upTo: number } | null;
  /** The threshold as last worked out, and from what. */
  threshold: { alarmsPerMonth: number; days: number; shown: number; theta: number } | null;
}

/** A ring of instants: milliseconds since one of them where that fits 32 bits (49 days), which halves it; else since 1970. */
interface Instants {
  fromMs: number;
  offsets: Uint32Array | Float64Array;
}

export interface MemoryContext {
  rangeMin: number | null;
  rangeMax: number | null;
  expectedIntervalS: number | null;
  ratePerMinuteMax: number | null;
  /** The false-alarm budget. */
  alarmsPerMonth: number;
}

export interface Folded {
  findings: WatchFinding[];
  /** `theta` is the threshold that the score was held against. */
  novelty: { score: number; alarm: boolean; theta: number; contributions: Float64Array };
}

export const createMemory = (): Memory => ({
  newestMs: -Infinity,
  watch: createWatch(),
  novelty: createNovelty(),
  times: { fromMs: 0, offsets: new Uint32Array(RECENT_MAX) },
  values: new Float64Array(RECENT_MAX),
  recent: 0,
  ascending: null,
  threshold: null,
});

/** Takes in a reading newer than the newest. */
export function fold(
  memory: Memory,
  timestampMs: number,
  value: number,
  localSeconds: number,
  context: MemoryContext,
): Folded {
  const findings = updateWatch(memory.watch, { timestampMs, value }, context);
  const theta = thetaOf(memory, context.alarmsPerMonth);
  const novelty = { ...updateNovelty(memory.novelty, localSeconds, value, theta), theta };
  const place = memory.recent % RECENT_MAX;
  putTime(memory, place, timestampMs);
  memory.values[place] = value;
  memory.recent++;
  memory.newestMs = timestampMs;
  return { findings, novelty };
}

/** The θ of the budget and of what the sensor has shown, worked out anew where either has changed. */
function thetaOf(memory: Memory, alarmsPerMonth: number): number {
  const { days, alarms } = memory.novelty.shown;
  const shown = alarms.reduce((sum, each) => sum + each, 0);
  const { threshold } = memory;
  if (threshold?.alarmsPerMonth === alarmsPerMonth && threshold.days === days && threshold.shown === shown)
    return threshold.theta;
  const theta = thetaForBudget(alarmsPerMonth, memory.novelty.shown);
  memory.threshold = { alarmsPerMonth, days, shown, theta };
  return theta;
}

const OFFSET_MAX = 2 ** 32 - 1;
const timeAt = ({ times: { fromMs, offsets } }: Memory, place: number): number => fromMs + offsets[place]!;

/** The next instant, which is the newest. */
function putTime(memory: Memory, place: number, timestampMs: number): void {
  const { times } = memory;
  if (memory.recent === 0) times.fromMs = times.offsets instanceof Uint32Array ? timestampMs : 0;
  if (times.offsets instanceof Uint32Array && timestampMs - times.fromMs > OFFSET_MAX) moveOrigin(memory, timestampMs);
  times.offsets[place] = timestampMs - times.fromMs;
}

/** Counts from the oldest that stays; where the newest is too far from that one too, from 1970 in twice the room. */
function moveOrigin(memory: Memory, newestMs: number): void {
  const { times, recent } = memory;
  const kept = Math.min(recent, RECENT_MAX - 1);
  const places = Array.from({ length: kept }, (_, i) => (recent - kept + i) % RECENT_MAX);
  const all = places.map((place) => timeAt(memory, place));
  const oldestMs = all[0] ?? newestMs;
  const fits = newestMs - oldestMs <= OFFSET_MAX;
  times.fromMs = fits ? oldestMs : 0;
  if (!fits) times.offsets = new Float64Array(RECENT_MAX);
  for (const [i, place] of places.entries()) times.offsets[place] = all[i]! - times.fromMs;
}

/** The last readings there are, oldest first, at most `countMax`. */
export function recentReadings(memory: Memory, countMax: number): { times: Float64Array; values: Float64Array } {
  const count = Math.min(memory.recent, RECENT_MAX, countMax);
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const place = (memory.recent - count + index) % RECENT_MAX;
    times[index] = timeAt(memory, place);
    values[index] = memory.values[place]!;
  }
  return { times, values };
}

/** The last readings the fallback looks back on, ascending. */
export function sortedRecent(memory: Memory): { sorted: Float64Array; held: number } {
  const { recent, values } = memory;
  const ascending = (memory.ascending ??= { sorted: new Float64Array(RECENT_READINGS), held: 0, upTo: 0 });
  if (recent - ascending.upTo > RECENT_READINGS) {
    ascending.held = 0;
    ascending.upTo = recent - RECENT_READINGS;
  }
  for (; ascending.upTo < recent; ascending.upTo++) {
    const gone = ascending.held < RECENT_READINGS ? null : values[(ascending.upTo - RECENT_READINGS) % RECENT_MAX]!;
    ascending.held = slideSorted(ascending.sorted, ascending.held, values[ascending.upTo % RECENT_MAX]!, gone);
  }
  return ascending;
}

/** Whether a reading of that instant is among the recent ones: then it was judged already. */
export function isAmongRecent(memory: Memory, timestampMs: number): boolean {
  const count = Math.min(memory.recent, RECENT_MAX);
  let low = memory.recent - count;
  let high = memory.recent - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = timeAt(memory, middle % RECENT_MAX);
    if (found === timestampMs) return true;
    if (found < timestampMs) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

/** Little-endian: the lengths of the two parts, the watch as JSON, the novelty detector, then the recent readings. */
export function encodeMemory(memory: Memory): Uint8Array {
  const watch = new TextEncoder().encode(JSON.stringify(memory.watch));
  const novelty = encodeNovelty(memory.novelty);
  const { times, values } = recentReadings(memory, RECENT_MAX);
  const bytes = new Uint8Array(32 + watch.length + novelty.length + times.length * 16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MEMORY_VERSION, true);
  view.setUint32(4, watch.length, true);
  view.setUint32(8, novelty.length, true);
  view.setUint32(12, times.length, true);
  view.setFloat64(16, memory.newestMs, true);
  view.setFloat64(24, memory.recent, true);
  bytes.set(watch, 32);
  bytes.set(novelty, 32 + watch.length);
  let at = 32 + watch.length + novelty.length;
  for (const column of [times, values]) {
    for (const one of column) {
      view.setFloat64(at, one, true);
      at += 8;
    }
  }
  return bytes;
}

const MEMORY_VERSION = 2;

/** @throws Error where the bytes are of another version. */
export function decodeMemory(bytes: Uint8Array): Memory {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MEMORY_VERSION) throw new Error("a snapshot of another version");
  const [watchLength, noveltyLength, count] = [4, 8, 12].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  const memory = createMemory();
  memory.newestMs = view.getFloat64(16, true);
  memory.recent = view.getFloat64(24, true);
  memory.watch = JSON.parse(new TextDecoder().decode(bytes.subarray(32, 32 + watchLength))) as Watch;
  memory.novelty = decodeNovelty(bytes.slice(32 + watchLength, 32 + watchLength + noveltyLength));
  const newest = memory.recent;
  const columns = 32 + watchLength + noveltyLength;
  for (let index = 0; index < count; index++) {
    memory.recent = newest - count + index;
    const place = memory.recent % RECENT_MAX;
    if (index === 0) memory.times.fromMs = view.getFloat64(columns, true);
    putTime(memory, place, view.getFloat64(columns + index * 8, true));
    memory.values[place] = view.getFloat64(columns + (count + index) * 8, true);
  }
  memory.recent = newest;
  return memory;
}
