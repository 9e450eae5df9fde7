import type { CalibrationModel } from "@calibration/models/calibration-fit.ts";
import { admit, isReading, refreshFor, type Admitted } from "@calibration/shared/admission.ts";
import { explainCorrection } from "@calibration/models/correction.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { Batch, PartitionHandler } from "@calibration/shared/hear.ts";
import { count, type Counts } from "@calibration/shared/metrics.ts";
import type { ModelCache } from "@calibration/shared/model-cache.ts";
import type { TimePartitions } from "@calibration/shared/time-partitions.ts";
import { correctedTelling, keepCorrected, type CorrectedMessage } from "./store.ts";

/** Decide what each reading should have been; keep it; tell it in the form it came in. */
export function correctReadings(parts: {
  facts: Facts;
  months: TimePartitions;
  models: Pick<ModelCache<CalibrationModel>, "load" | "get">;
  retentionDays: number;
}): PartitionHandler {
  return {
    async decide(batch) {
      const counts: Counts = {};
      const corrected = await correctAll(batch, counts);
      await parts.months.ensure(timestampsOf(corrected));

      return async (transaction) => {
        const isNew = await keepCorrected(transaction, corrected);
        const fresh = corrected.filter((_, index) => isNew[index]);
        return {
          tell: fresh.map((one) => correctedTelling(one, batch.streamCreated)),
          tellsOf: fresh.map(({ sequence }) => sequence),
          counts,
        };
      };
    },

    async retell(batch) {
      return (await correctAll(batch, {})).map((one) => correctedTelling(one, batch.streamCreated));
    },
  };

  async function correctAll(batch: Batch, counts: Counts): Promise<CorrectedMessage[]> {
    const messages = batch.messages.filter(isReading);
    await refreshFor(parts.facts, messages);
    const admitted = messages
      .map((message) => admit(parts.facts, message, parts.retentionDays))
      .filter(({ sensor, parsed }) => sensor !== null && parsed.readings.length > 0);
    await parts.models.load(admitted.flatMap(({ sensor }) => sensor!.model("calibration")?.modelId ?? []));
    return admitted.map((one) => correctMessage(one, counts)).filter(({ readings }) => readings.length > 0);
  }

  function correctMessage({ message, sensor, parsed }: Admitted, counts: Counts): CorrectedMessage {
    const { sensorId, site, key, calibrations } = sensor!;
    const promoted = sensor!.model("calibration");
    const found = promoted === null ? null : parts.models.get(promoted.modelId);
    const readings: CorrectedMessage["readings"] = [];
    const methods: Record<string, number> = {};
    const fallbacks: Record<string, number> = {};
    for (const { quality, timestampMs, value } of parsed.readings) {
      if (quality === "bad") continue;
      const { fallbackReason, correctedValue, method, modelVersion } = explainCorrection(found, calibrations, {
        timestampMs,
        value,
      });
      methods[method] = (methods[method] ?? 0) + 1;
      if (fallbackReason !== null) fallbacks[fallbackReason] = (fallbacks[fallbackReason] ?? 0) + 1;
      readings.push({ timestampMs, rawValue: value, correctedValue, method, modelVersion });
    }
    for (const [method, times] of Object.entries(methods)) count(counts, "corrected", [method], times);
    for (const [reason, times] of Object.entries(fallbacks)) count(counts, "fallback", [reason], times);
    return {
      sensorId,
      site,
      key,
      sequence: message.sequence,
      isArray: parsed.isArray,
      traceparent: message.traceparent,
      readings,
    };
  }
}

function* timestampsOf(messages: readonly CorrectedMessage[]): Iterable<number> {
  for (const { readings } of messages) for (const { timestampMs } of readings) yield timestampMs;
}
