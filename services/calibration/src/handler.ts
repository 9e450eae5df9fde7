import type { CalibrationModel } from "@calibration/models/calibration-fit.ts";
import { admit, isReading, refreshFor, type Admitted } from "@calibration/shared/admission.ts";
import { explainCorrection } from "@calibration/models/correction.ts";
import type { Facts } from "@calibration/shared/facts.ts";
import type { PartitionHandler } from "@calibration/shared/hear.ts";
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
      const messages = batch.messages.filter(isReading);
      await refreshFor(parts.facts, messages);
      const admitted = messages
        .map((message) => admit(parts.facts, message, parts.retentionDays))
        .filter(({ sensor, parsed }) => sensor !== null && parsed.readings.length > 0);
      await parts.models.load(admitted.flatMap(({ sensor }) => sensor!.model("calibration")?.modelId ?? []));
      const counts: Counts = {};
      const corrected = admitted
        .map((one) => correctMessage(one, counts))
        .filter(({ readings }) => readings.length > 0);
      await parts.months.ensure(corrected.flatMap(({ readings }) => readings.map((reading) => reading.timestampMs)));

      return async (transaction) => {
        const isNew = await keepCorrected(transaction, corrected);
        const tell = corrected
          .filter((_, index) => isNew[index])
          .map((one) => correctedTelling(one, batch.streamCreated));
        return { tell, counts };
      };
    },
  };

  function correctMessage({ message, sensor, parsed }: Admitted, counts: Counts): CorrectedMessage {
    const { sensorId, site, key, calibrations } = sensor!;
    const promoted = sensor!.model("calibration");
    const found = promoted === null ? null : parts.models.get(promoted.modelId);
    const readings = parsed.readings
      .filter((reading) => reading.quality !== "bad")
      .map((reading) => {
        const { fallbackReason, ...corrected } = explainCorrection(found, calibrations, reading);
        count(counts, "corrected", [corrected.method]);
        if (fallbackReason !== null) count(counts, "fallback", [fallbackReason]);
        return { timestampMs: reading.timestampMs, rawValue: reading.value, ...corrected };
      });
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
