/**
 * The decoded models a replica uses: a bounded cache of `model_artifacts`, read when first needed. What is damaged or of
 * another format is refused, logged and counted, and the service falls back; so is what was damaged while in use, within
 * a minute.
 */
import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Registry } from "prom-client";
import type { Log } from "./log.ts";
import { createModelCacheMetrics } from "./metrics.ts";
import type { FallbackReason, ModelType } from "./model.ts";

const MODELS_MAX = 2_000;
const RECHECK_MS = 20_000;
/** A recheck compares at most this many artifacts with their checksum, in turn. */
const RECHECKED_MAX = 200;

export type CachedModel<M> = { model: M; version: number } | { model: null; version: number; reason: FallbackReason };

export interface ModelCache<M> extends AsyncDisposable {
  /** Reads those that are not in the cache. */
  load(modelIds: Iterable<number>): Promise<void>;
  /** A model that was loaded; null when it is none of these. */
  get(modelId: number): CachedModel<M> | null;
}

interface ArtifactRow {
  id: number;
  version: number;
  sha256: string;
  artifact: Buffer;
}

export function createModelCache<M>(parts: {
  type: ModelType;
  pool: Pick<Pool, "query">;
  /** @throws with `code` `model_damaged` or `model_incompatible` */
  decode(artifact: Uint8Array): M;
  log: Log;
  registry: Registry;
}): ModelCache<M> {
  const cached = new Map<number, CachedModel<M>>();
  const metrics = createModelCacheMetrics(parts.registry, () => cached.size);

  const refuse = (row: { id: number; version: number }, reason: FallbackReason, detail: string) => {
    parts.log.error({ modelId: row.id, version: row.version, type: parts.type, reason, detail }, "model refused");
    metrics.refused.inc({ reason });
    cached.set(row.id, { model: null, version: row.version, reason });
  };

  const open = (row: ArtifactRow) => {
    if (createHash("sha256").update(row.artifact).digest("hex") !== row.sha256) {
      refuse(row, "model_damaged", "the checksum does not match");
      return;
    }
    try {
      cached.set(row.id, { model: parts.decode(row.artifact), version: row.version });
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      refuse(row, code === "model_incompatible" ? code : "model_damaged", (error as Error).message);
    }
  };

  const recheck = async () => {
    const ids = [...cached].filter(([, one]) => one.model !== null).map(([id]) => id);
    for (let start = 0; start < ids.length; start += RECHECKED_MAX) {
      const part = ids.slice(start, start + RECHECKED_MAX);
      const sound = await parts.pool.query<{ id: number }>(
        "select id from model_artifacts where id = any($1::int8[]) and encode(sha256(artifact), 'hex') = sha256",
        [part],
      );
      const soundIds = new Set(sound.rows.map((row) => row.id));
      for (const id of part) {
        const one = cached.get(id);
        if (!soundIds.has(id) && one !== undefined)
          refuse({ id, version: one.version }, "model_damaged", "damaged while in use");
      }
    }
  };
  const rechecking = setInterval(() => {
    recheck().catch((error: unknown) => parts.log.warn({ error }, "models could not be checked"));
  }, RECHECK_MS);
  rechecking.unref();

  return {
    async load(modelIds) {
      const wanted = new Set(modelIds);
      const missing = [...wanted].filter((id) => !cached.has(id));
      metrics.lookups.inc({ result: "hit" }, wanted.size - missing.length);
      if (missing.length === 0) return;
      while (cached.size + missing.length > MODELS_MAX && cached.size > 0) cached.delete(cached.keys().next().value!);
      const found = await parts.pool.query<ArtifactRow>(
        "select id, version, sha256, artifact from model_artifacts where id = any($1::int8[])",
        [missing],
      );
      metrics.lookups.inc({ result: "miss" }, missing.length);
      for (const row of found.rows) open(row);
      for (const id of missing)
        if (!cached.has(id)) cached.set(id, { model: null, version: 0, reason: "model_missing" });
    },
    get(modelId) {
      const found = cached.get(modelId) ?? null;
      if (found !== null) {
        // The one used last is the last to go.
        cached.delete(modelId);
        cached.set(modelId, found);
      }
      return found;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(rechecking);
    },
  };
}
