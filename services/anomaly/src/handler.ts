import { createCalendar, type Calendar } from "@calibration/models/calendar.ts";
import type { IsolationForest } from "@calibration/models/isolation-forest.ts";
import { learntIntervalS } from "@calibration/models/watchers.ts";
import { admit, isReading, refreshFor, type Admitted } from "@calibration/shared/admission.ts";
import type { Facts, SensorAt } from "@calibration/shared/facts.ts";
import type { Batch, Heard, PartitionHandler } from "@calibration/shared/hear.ts";
import type { Keep } from "@calibration/shared/keep-together.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import type { HeldModels, ModelCache } from "@calibration/shared/model-cache.ts";
import type { Position } from "@calibration/shared/positions.ts";
import { findRepeats, nameOf, type Placed } from "@calibration/shared/repeats.ts";
import type { Pool } from "pg";
import {
  attendBad,
  attendLate,
  attendReading,
  attendResolution,
  attendTick,
  createAttention,
  learningOf,
  memoryContextOf,
  nextLookMs,
  type Attention,
  type AttendContext,
  type Change,
} from "./core/attend.ts";
import type { UsableModel } from "./core/judge.ts";
import { createMemory, fold, isAmongRecent, type Memory } from "./core/memory.ts";
import {
  anomalyTellings,
  findAttentions,
  findMemories,
  findOverdue,
  keepAttended,
  keepMemories,
  resolveKept,
  type AttendedSensor,
} from "./store.ts";

/** The large state is written when this much of the log has passed since. */
const SNAPSHOT_READINGS = 50_000;
/**
 * But not before a sensor had so many on the average, for writing one takes half a millisecond to two and a reading some
 * microseconds; and at twice as many readings in any case, since whoever takes over folds them again.
 */
const SNAPSHOT_READINGS_A_SENSOR = 160;
const SNAPSHOT_READINGS_MAX = 2 * SNAPSHOT_READINGS;
const SNAPSHOT_MS = 60_000;
/** So many of a partition's sensors are held between two snapshots, about 62 KB each; the others are read again when they are heard. */
const SENSORS_HELD_MAX = 500;

export interface Resolution {
  sensor_id: number;
  site: string;
  key: string;
  started_at: string;
  note: string | null;
}

interface Sensor {
  attention: Attention;
  memory: Memory;
  /** The position its memory stands at. */
  folded: number;
  dirty: boolean;
  /** Its learning, interval and what it has shown as they were last written. */
  status: string;
}

/** What a batch came to. */
export interface Judged {
  touched: AttendedSensor[];
  counts: Counts;
  /** Of episodes that were over already. */
  resolutions: Resolution[];
  /** The large states to be written with it; null: not this time. */
  snapshot: { sensorId: number; memory: Memory }[] | null;
}

/** Decide what each reading, and each silence, means. */
export function judgeReadings(parts: {
  partition: number;
  position: Position;
  pool: Pool;
  facts: Facts;
  models: Pick<ModelCache<IsolationForest>, "load">;
  retentionDays: number;
  sensorsHeldMax?: number;
}): PartitionHandler<Judged> {
  const { partition, pool, facts, sensorsHeldMax = SENSORS_HELD_MAX } = parts;
  const sensors = new Map<number, Sensor>();
  const calendars = new Map<string, Calendar>();
  /** Those of the batch. */
  let models: HeldModels<IsolationForest> = { get: () => null };
  let readingsSinceSnapshot = 0;
  let snapshotAt = performance.now();
  /** The batch that is being kept brings one. */
  let isSnapshot = false;
  const dirty = () => [...sensors].filter(([, one]) => one.dirty);

  return {
    async decide(batch) {
      const admitted = await admitAll(batch);
      const overdue = await loadAll(batch, admitted);
      const repeats = await repeatsAmong(batch, admitted);
      const touched = new Map<number, AttendedSensor>();
      const counts: Counts = {};
      const resolutionsOfOld: Resolution[] = [];
      const bySequence = new Map(admitted.map((one) => [one.message.sequence, one]));

      for (const message of batch.messages) {
        if (isReading(message)) {
          const one = bySequence.get(message.sequence);
          if (one !== undefined) attendMessage(one, repeats, touched, counts);
        } else if (message.subject.startsWith("ticks.")) attendTicks(message, overdue, touched);
        else attendResolutionOf(message, touched, resolutionsOfOld);
      }

      for (const { changes } of touched.values())
        for (const { event, episode } of changes)
          count(counts, "anomaly", [event, episode.type ?? "undecided", episode.severity]);
      isSnapshot = isTimeForSnapshot();
      return {
        touched: [...touched.values()],
        counts,
        resolutions: resolutionsOfOld,
        snapshot: isSnapshot ? dirty().map(([sensorId, { memory }]) => ({ sensorId, memory })) : null,
      };
    },

    committed() {
      if (!isSnapshot) return;
      for (const [, one] of dirty()) one.dirty = false;
      readingsSinceSnapshot = 0;
      snapshotAt = performance.now();
      forgetTheQuiet();
    },

    async refold(batch) {
      const admitted = await admitAll(batch);
      await loadAll(batch, admitted);
      for (const { message, sensor, parsed } of admitted) {
        const known = sensors.get(sensor!.sensorId)!;
        const context = contextOf(sensor!);
        for (const reading of parsed.readings) {
          // What the memory holds already is no newer, also where the stream was made anew and its sequences begin again.
          if (reading.timestampMs <= known.memory.newestMs) continue;
          if (reading.quality === "bad") known.memory.newestMs = reading.timestampMs;
          else
            fold(
              known.memory,
              reading.timestampMs,
              reading.value,
              context.calendar(reading.timestampMs).localSeconds,
              memoryContextOf(context),
            );
        }
        known.folded = message.sequence;
        known.dirty = true;
      }
    },
  };

  function isTimeForSnapshot(): boolean {
    if (performance.now() - snapshotAt >= SNAPSHOT_MS) return true;
    return (
      readingsSinceSnapshot >= SNAPSHOT_READINGS &&
      readingsSinceSnapshot >= Math.min(SNAPSHOT_READINGS_MAX, SNAPSHOT_READINGS_A_SENSOR * dirty().length)
    );
  }

  async function admitAll(batch: Batch): Promise<Admitted[]> {
    const messages = batch.messages.filter(isReading);
    await refreshFor(facts, batch.messages);
    return messages
      .map((message) => admit(facts, message, parts.retentionDays))
      .filter(({ sensor, parsed }) => sensor !== null && parsed.readings.length > 0);
  }

  /** Brings in the state of every sensor the batch may touch; returns those that a tick should look at. */
  async function loadAll(
    batch: Batch,
    admitted: readonly Admitted[],
  ): Promise<Map<number, { site: string; key: string }>> {
    const lastTickMs = Math.max(
      0,
      ...batch.messages.filter((one) => one.subject.startsWith("ticks.")).map((one) => one.storedMs),
    );
    const overdue =
      lastTickMs === 0
        ? new Map<number, { site: string; key: string }>()
        : await findOverdue(pool, partition, lastTickMs);
    const resolving = batch.messages
      .filter((one) => one.subject.startsWith("resolutions."))
      .map(resolutionOf)
      .filter((one) => one !== null);
    await facts.refresh([...overdue.values(), ...resolving], Math.max(0, ...batch.messages.map((one) => one.storedMs)));
    const wanted = new Set([
      ...admitted.map(({ sensor }) => sensor!.sensorId),
      ...overdue.keys(),
      ...resolving.map((one) => one.sensor_id),
    ]);
    const missing = [...wanted].filter((sensorId) => !sensors.has(sensorId));
    if (missing.length > 0) {
      const [attentions, memories] = await Promise.all([findAttentions(pool, missing), findMemories(pool, missing)]);
      for (const sensorId of missing) {
        const memory = memories.get(sensorId);
        sensors.set(sensorId, {
          attention: attentions.get(sensorId) ?? createAttention(),
          memory: memory?.memory ?? createMemory(),
          folded: memory?.position ?? 0,
          dirty: false,
          status: "",
        });
      }
    }
    const modelIds = admitted.flatMap(({ sensor }) => sensor!.model("anomaly")?.modelId ?? []);
    models = await parts.models.load(modelIds);
    return overdue;
  }

  function contextOf(sensor: SensorAt): AttendContext {
    const promoted = sensor.model("anomaly");
    const found = promoted === null ? null : models.get(promoted.modelId);
    const model: UsableModel = found ?? { model: null, reason: "model_missing" };
    return {
      body: sensor.body,
      model,
      alarmsPerMonth: sensor.body.settings.false_alarms_per_month,
      lastCalibrationMs: sensor.calibrations.at(-1)?.appliedAtMs ?? null,
      calendar: calendarOf(sensor.body.settings.time_zone),
    };
  }

  /** A time zone's calendar knows its offsets by heart after a while, so the sensors of a zone share one. */
  function calendarOf(timeZone: string): Calendar {
    const known = calendars.get(timeZone) ?? createCalendar(timeZone);
    calendars.set(timeZone, known);
    return known;
  }

  function touch(
    sensor: Pick<SensorAt, "sensorId" | "site" | "key">,
    touched: Map<number, AttendedSensor>,
  ): AttendedSensor {
    const found = touched.get(sensor.sensorId);
    if (found !== undefined) return found;
    const fresh: AttendedSensor = {
      sensorId: sensor.sensorId,
      site: sensor.site,
      key: sensor.key,
      attention: sensors.get(sensor.sensorId)!.attention,
      changes: [],
      lookMs: null,
      learning: null,
      intervalS: null,
      alarmsSeen: null,
    };
    touched.set(sensor.sensorId, fresh);
    return fresh;
  }

  /** The late readings that are repeats. */
  async function repeatsAmong(batch: Batch, admitted: readonly Admitted[]): Promise<Set<string>> {
    const newest = new Map<number, number>();
    const late: Placed[] = [];
    for (const { message, sensor, parsed } of admitted) {
      const { sensorId } = sensor!;
      for (const { timestampMs, quality } of parsed.readings) {
        if (timestampMs > (newest.get(sensorId) ?? sensors.get(sensorId)!.attention.newestMs ?? -Infinity))
          newest.set(sensorId, timestampMs);
        else if (quality !== "bad") late.push({ sensorId, timestampMs, sequence: message.sequence });
      }
    }
    return findRepeats(pool, batch, late);
  }

  function attendMessage(
    { message, sensor, parsed }: Admitted,
    repeats: Set<string>,
    touched: Map<number, AttendedSensor>,
    counts: Counts,
  ): void {
    const known = sensors.get(sensor!.sensorId)!;
    const attended = touch(sensor!, touched);
    const context = contextOf(sensor!);
    const judged: Record<string, number> = {};
    const fallbacks: Record<string, number> = {};
    const { storedMs, sequence } = message;
    const nameAt = (timestampMs: number) => nameOf({ sensorId: sensor!.sensorId, timestampMs, sequence });
    for (const { timestampMs, value, quality } of parsed.readings) {
      const reading = { timestampMs, value, storedMs };
      const { attention, memory } = known;
      const isNew = attention.newestMs === null || timestampMs > attention.newestMs;
      if (quality === "bad") {
        attended.changes.push(...mark(message, attendBad(attention, memory, reading, sensor!.body)));
        repeats.add(nameAt(timestampMs));
        continue;
      }
      if (!isNew) {
        const name = nameAt(timestampMs);
        if (repeats.has(name) || isAmongRecent(memory, timestampMs)) continue;
        // The same instant again in this very message is a repeat too.
        repeats.add(name);
      }
      const { changes, method, fallbackReason } = isNew
        ? attendReading(attention, memory, reading, context)
        : attendLate(reading, context);
      if (changes.length > 0) attended.changes.push(...mark(message, changes));
      judged[method] = (judged[method] ?? 0) + 1;
      if (fallbackReason !== null) fallbacks[fallbackReason] = (fallbacks[fallbackReason] ?? 0) + 1;
      readingsSinceSnapshot++;
    }
    for (const [method, times] of Object.entries(judged)) count(counts, "judged", [method], times);
    for (const [reason, times] of Object.entries(fallbacks)) count(counts, "fallback", [reason], times);
    known.folded = message.sequence;
    known.dirty = true;
    attended.lookMs = nextLookMs(known.attention, known.memory, sensor!.body);
    const learning = learningOf(known.memory, context.model.model !== null);
    const intervalS = learntIntervalS(known.memory.watch);
    const { days, alarms } = known.memory.novelty.shown;
    const status = `${learning.stage} ${learning.readings} ${intervalS} ${days} ${alarms.join()}`;
    if (status === known.status) return;
    known.status = status;
    attended.learning = learning;
    attended.intervalS = intervalS;
    attended.alarmsSeen = { days, alarms: [...alarms] };
  }

  function attendTicks(
    message: Heard,
    overdue: ReadonlyMap<number, { site: string; key: string }>,
    touched: Map<number, AttendedSensor>,
  ): void {
    // What the same batch brought may be missed by its tick already; the tables do not know of it yet.
    const watched = new Map([...overdue, ...touched]);
    for (const [sensorId, { site, key }] of watched) {
      const sensor = facts.at(site, key, message.storedMs);
      const known = sensors.get(sensorId);
      if (sensor === null || known === undefined || sensor.sensorId !== sensorId) continue;
      const changes = attendTick(known.attention, known.memory, message.storedMs, sensor.body);
      const attended = touch(sensor, touched);
      attended.changes.push(...mark(message, changes));
      attended.lookMs = nextLookMs(known.attention, known.memory, sensor.body);
    }
  }

  function attendResolutionOf(message: Heard, touched: Map<number, AttendedSensor>, old: Resolution[]): void {
    const resolution = resolutionOf(message);
    const known = resolution === null ? undefined : sensors.get(resolution.sensor_id);
    if (resolution === null || known === undefined) return;
    const change = attendResolution(
      known.attention,
      Date.parse(resolution.started_at),
      message.storedMs,
      resolution.note,
    );
    if (change === null) {
      old.push(resolution);
      return;
    }
    const sensor = facts.at(resolution.site, resolution.key, message.storedMs);
    const attended = touch({ sensorId: resolution.sensor_id, site: resolution.site, key: resolution.key }, touched);
    attended.changes.push(...mark(message, [change]));
    if (sensor !== null) attended.lookMs = nextLookMs(known.attention, known.memory, sensor.body);
  }

  /** After a snapshot the tables know as much of a sensor as this replica does. */
  function forgetTheQuiet(): void {
    const quiet = [...sensors].filter(([, one]) => !one.dirty).toSorted(([, a], [, b]) => a.folded - b.folded);
    for (const [sensorId] of quiet.slice(0, Math.max(0, sensors.size - sensorsHeldMax))) sensors.delete(sensorId);
  }
}

const mark = (message: Heard, changes: readonly Change[]) =>
  changes.map((change) => ({ ...change, sequence: message.sequence, traceparent: message.traceparent }));

function resolutionOf(message: Heard): Resolution | null {
  try {
    return JSON.parse(new TextDecoder().decode(message.payload)) as Resolution;
  } catch {
    return null;
  }
}

/** Keep the episodes and what they rest on; tell what changed. */
export const keepJudged: Keep<Judged> = async (transaction, decisions) => {
  const attended = decisions.flatMap(({ batch: { partition }, decided: { touched } }) =>
    touched.map((sensor) => ({ ...sensor, partition })),
  );
  const ids = await keepAttended(transaction, attended);
  for (const { batch, decided } of decisions) {
    await resolveKept(transaction, decided.resolutions, batch);
    if (decided.snapshot !== null)
      await keepMemories(transaction, batch.partition, batch.lastSequence, decided.snapshot);
  }
  return decisions.map(({ batch, decided: { touched, counts, snapshot } }) => ({
    tell: anomalyTellings(touched, ids, batch.streamCreated),
    counts,
    snapshot: snapshot !== null,
  }));
};
