import type { CalibrationModel } from "@calibration/models/calibration-fit.ts";
import { admit, isReading, refreshFor, type Admitted } from "@calibration/shared/admission.ts";
import { explainCorrection } from "@calibration/models/correction.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { Batch, PartitionHandler } from "@calibration/shared/hear.ts";
import type { Keep } from "@calibration/shared/keep-together.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import type { HeldModels, ModelCache } from "@calibration/shared/model-cache.ts";
import { createNewest } from "@calibration/shared/newest.ts";
import { findRepeats, nameOf, type Placed } from "@calibration/shared/repeats.ts";
import type { TimePartitions } from "@calibration/shared/time-partitions.ts";
import type { Pool } from "pg";
import {
  correctedTelling,
  findNewestBad,
  findNewestCorrected,
  keepCorrected,
  keepNewestBad,
  type CorrectedMessage,
} from "./store.ts";

/** What a batch came to. */
export interface CorrectedBatch {
  corrected: CorrectedMessage[];
  /** Up to which instants it moved the newest bad readings, by sensor. */
  bad: ReadonlyMap<number, number>;
  /** All are newer than what was corrected of their sensors, so none is a repeat. */
  areNew: boolean;
  counts: Counts;
}

/** Decide what each reading should have been. */
export function correctReadings(parts: {
  pool: Pick<Pool, "query">;
  facts: Facts;
  months: TimePartitions;
  models: Pick<ModelCache<CalibrationModel>, "load">;
  retentionDays: number;
}): PartitionHandler<CorrectedBatch> {
  const bads = createNewest((sensorIds) => findNewestBad(parts.pool, sensorIds));
  const corrections = createNewest((sensorIds) => findNewestCorrected(parts.pool, sensorIds));
  // A partition that was just opened, perhaps since this very knowledge was wrong, lets PostgreSQL look at its first batch.
  let isProven = false;

  return {
    async decide(batch) {
      const counts: Counts = {};
      const bad = new Map<number, number>();
      const corrected = await correctAll(batch, counts, bad);
      await parts.months.ensure(timestampsOf(corrected));
      return { corrected, bad, counts, areNew: (await allNewer(corrected)) && isProven };
    },

    committed() {
      isProven = true;
    },

    async retell(batch) {
      return (await correctAll(batch, {}, new Map())).map((one) => correctedTelling(one, batch.streamCreated));
    },
  };

  /** @param bad is filled with the instants up to which the batch moves the newest bad readings */
  async function correctAll(batch: Batch, counts: Counts, bad: Map<number, number>): Promise<CorrectedMessage[]> {
    const messages = batch.messages.filter(isReading);
    await refreshFor(parts.facts, messages);
    const admitted = messages
      .map((message) => admit(parts.facts, message, parts.retentionDays))
      .filter(({ sensor, parsed }) => sensor !== null && parsed.readings.length > 0);
    const models = await parts.models.load(
      admitted.flatMap(({ sensor }) => sensor!.model("calibration")?.modelId ?? []),
    );
    const repeats = await repeatsAmong(batch, admitted, bad);
    return admitted
      .map((one) => correctMessage(one, models, repeats, counts))
      .filter(({ timestamps }) => timestamps.length > 0);
  }

  /** Those that repeat a bad reading. What repeats a corrected one is met by its row. */
  async function repeatsAmong(
    batch: Batch,
    admitted: readonly Admitted[],
    bad: Map<number, number>,
  ): Promise<Set<string>> {
    const newestBad = await bads.of(admitted.map(({ sensor }) => sensor!.sensorId));
    const asked: Placed[] = [];
    const inMessage = new Set<string>();
    for (const { message, sensor, parsed } of admitted) {
      const { sensorId } = sensor!;
      let newest = newestBad.get(sensorId)!;
      for (const { timestampMs, quality } of parsed.readings) {
        const place = { sensorId, timestampMs, sequence: message.sequence };
        if (quality === "bad") {
          inMessage.add(nameOf(place));
          if (timestampMs > newest) {
            newest = timestampMs;
            bad.set(sensorId, newest);
          }
        } else if (timestampMs <= newest) asked.push(place);
      }
      newestBad.set(sensorId, newest);
    }
    for (const name of await findRepeats(parts.pool, batch, asked)) inMessage.add(name);
    return inMessage;
  }

  /** Whether each reading is newer than all of its sensor before it; remembers the newest. */
  async function allNewer(corrected: readonly CorrectedMessage[]): Promise<boolean> {
    const newestMs = await corrections.of(corrected.map(({ sensorId }) => sensorId));
    let all = true;
    for (const { sensorId, timestamps } of corrected) {
      let newest = newestMs.get(sensorId)!;
      for (const timestampMs of timestamps) {
        if (timestampMs > newest) newest = timestampMs;
        else all = false;
      }
      newestMs.set(sensorId, newest);
    }
    return all;
  }

  function correctMessage(
    { message, sensor, parsed }: Admitted,
    models: HeldModels<CalibrationModel>,
    repeats: ReadonlySet<string>,
    counts: Counts,
  ): CorrectedMessage {
    const { sensorId, site, key, calibrations } = sensor!;
    const promoted = sensor!.model("calibration");
    const found = promoted === null ? null : models.get(promoted.modelId);
    const corrected: CorrectedMessage = {
      sensorId,
      site,
      key,
      sequence: message.sequence,
      isArray: parsed.isArray,
      traceparent: message.traceparent,
      timestamps: [],
      raw: [],
      corrected: [],
      methods: [],
      versions: [],
      extrapolated: [],
    };
    const methods: Record<string, number> = {};
    const fallbacks: Record<string, number> = {};
    for (const reading of parsed.readings) {
      const { quality, timestampMs, value } = reading;
      if (quality === "bad") continue;
      if (repeats.size > 0 && repeats.has(nameOf({ sensorId, timestampMs, sequence: message.sequence }))) continue;
      const came = explainCorrection(found, calibrations, reading);
      methods[came.method] = (methods[came.method] ?? 0) + 1;
      if (came.fallbackReason !== null) fallbacks[came.fallbackReason] = (fallbacks[came.fallbackReason] ?? 0) + 1;
      corrected.timestamps.push(timestampMs);
      corrected.raw.push(value);
      corrected.corrected.push(came.correctedValue);
      corrected.methods.push(came.method);
      corrected.versions.push(came.modelVersion);
      corrected.extrapolated.push(came.extrapolated);
    }
    for (const [method, times] of Object.entries(methods)) count(counts, "corrected", [method], times);
    for (const [reason, times] of Object.entries(fallbacks)) count(counts, "fallback", [reason], times);
    return corrected;
  }
}

/** Keep what was corrected; tell it in the form it came in. */
export const keepCorrections: Keep<CorrectedBatch> = async (transaction, decisions) => {
  const all = decisions.flatMap(({ decided }) => decided.corrected);
  const areNew = decisions.every(({ decided }) => decided.areNew);
  const bad = new Map(decisions.flatMap(({ decided }) => [...decided.bad]));
  const [fresh] = await Promise.all([keepCorrected(transaction, all, areNew), keepNewestBad(transaction, bad)]);
  return decisions.map(({ batch, decided: { corrected, counts } }) => {
    const told = corrected.filter((one) => fresh.has(one));
    return {
      tell: told.map((one) => correctedTelling(one, batch.streamCreated)),
      tellsOf: told.map(({ sequence }) => sequence),
      counts,
    };
  });
};

function* timestampsOf(messages: readonly CorrectedMessage[]): Iterable<number> {
  for (const { timestamps } of messages) yield* timestamps;
}
