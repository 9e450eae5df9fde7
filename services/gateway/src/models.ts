/** The model in force, read and checked anew for each question: what was damaged in the table is noticed at once. */
import { ArtifactError, decodeArtifact } from "@calibration/models/artifact.ts";
import type { FallbackReason, ModelType } from "@calibration/shared/model.ts";
import { createHash } from "node:crypto";
import type pg from "pg";

export type InForce<M> = { model: M; version: number } | { model: null; version: number; reason: FallbackReason };

export async function findModelInForce<M>(
  pool: Pick<pg.Pool, "query">,
  sensorId: number,
  type: ModelType,
  decode: (payload: Uint8Array) => M,
): Promise<InForce<M>> {
  const { rows } = await pool.query<{ version: number; sha256: string; artifact: Buffer }>(
    "select version, sha256, artifact from model_artifacts where sensor_id = $1 and model_type = $2 and current",
    [sensorId, type],
  );
  const [row] = rows;
  if (row === undefined) return { model: null, version: 0, reason: "model_missing" };
  try {
    const payload = decodeArtifact(type, row.artifact);
    if (createHash("sha256").update(row.artifact).digest("hex") !== row.sha256)
      return { model: null, version: row.version, reason: "model_damaged" };
    return { model: decode(payload), version: row.version };
  } catch (error) {
    return { model: null, version: row.version, reason: error instanceof ArtifactError ? error.code : "model_damaged" };
  }
}
