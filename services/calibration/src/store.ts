import type { Corrected } from "@calibration/models/correction.ts";
import type { Telling } from "@calibration/shared/bus.ts";
import { subjects } from "@calibration/shared/topology.ts";
import type pg from "pg";

export interface CorrectedMessage {
  sensorId: number;
  site: string;
  key: string;
  sequence: number;
  isArray: boolean;
  traceparent: string | null;
  readings: ({ timestampMs: number; rawValue: number } & Corrected)[];
}

const KEEP = `
  insert into corrected_readings (sensor_id, timestamp, raw_value, corrected_value, method, model_version)
  select s, to_timestamp(t / 1000.0), v, c, m, n
    from unnest($1::int[], $2::float8[], $3::float8[], $4::float8[], $5::text[], $6::int[]) as u(s, t, v, c, m, n)
  on conflict do nothing
  returning sensor_id, (extract(epoch from timestamp) * 1000)::float8 as timestamp_ms`;

/** Which of the messages brought at least one reading that was not corrected before. */
export async function keepCorrected(
  transaction: pg.PoolClient,
  messages: readonly CorrectedMessage[],
): Promise<boolean[]> {
  if (messages.length === 0) return [];
  const rows = messages.flatMap(({ sensorId, readings }) => readings.map((reading) => ({ sensorId, ...reading })));
  const kept = await transaction.query<{ sensor_id: number; timestamp_ms: number }>({
    name: "keep-corrected",
    text: KEEP,
    values: [
      rows.map((row) => row.sensorId),
      rows.map((row) => row.timestampMs),
      rows.map((row) => row.rawValue),
      rows.map((row) => row.correctedValue),
      rows.map((row) => row.method),
      rows.map((row) => row.modelVersion),
    ],
  });
  const fresh = new Set(kept.rows.map((row) => `${row.sensor_id} ${Math.round(row.timestamp_ms)}`));
  // The first message that brought a reading is the one that is new; a repeat later in the same batch is not.
  return messages.map(({ sensorId, readings }) => {
    let isNew = false;
    for (const { timestampMs } of readings) isNew = fresh.delete(`${sensorId} ${timestampMs}`) || isNew;
    return isNew;
  });
}

export function correctedTelling(
  { sensorId, site, key, sequence, isArray, traceparent, readings }: CorrectedMessage,
  streamCreated: string,
): Telling {
  const bodies = readings.map((reading) => ({
    sensor_id: sensorId,
    timestamp: new Date(reading.timestampMs).toISOString(),
    raw_value: reading.rawValue,
    corrected_value: reading.correctedValue,
    method: reading.method,
    model_version: reading.modelVersion,
  }));
  return {
    subject: subjects.corrected(site, key),
    id: `corrected-${streamCreated}-${sequence}`,
    traceparent,
    body: JSON.stringify(isArray ? bodies : bodies[0]),
  };
}
