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

const RECHECK_MS = 40_000;
/** A recheck compares at most this many artifacts with their checksum, in turn; as many are read at once. */
const AT_ONCE_MAX = 200;
const MEGABYTE = 1024 ** 2;
/** A decoded model is so much larger than its artifact, where it does not say how large it is. */
const DECODED_TIMES = 4;
const ENTRY_BYTES = 1_000;

export type CachedModel<M> = { model: M; version: number } | { model: null; version: number; reason: FallbackReason };

/** The models of a batch: they stay while it is worked on, whatever else is loaded meanwhile. */
export interface HeldModels<M> {
  /** Null for a model that was not asked for. */
  get(modelId: number): CachedModel<M> | null;
}

export interface ModelCache<M> extends AsyncDisposable {
  /** Reads those that are not in the cache. */
  load(modelIds: Iterable<number>): Promise<HeldModels<M>>;
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
  /** What a model holds by now, bytes; it may grow while it is used. */
  bytesOf?(model: M): number;
  /** Beyond it those used longest ago are forgotten. */
  megabytesMax: number;
  log: Log;
  registry: Registry;
}): ModelCache<M> {
  /** The one used last comes last. */
  const cached = new Map<number, Entry<M>>();
  let bytes = 0;
  const metrics = createModelCacheMetrics(parts.registry, { models: () => cached.size, bytes: () => bytes });

  const keep = (id: number, found: CachedModel<M>, artifactBytes: number) => {
    forget(id);
    const entry: Entry<M> = { found, artifactBytes, bytes: 0 };
    cached.set(id, entry);
    weigh(entry);
  };
  const forget = (id: number) => {
    bytes -= cached.get(id)?.bytes ?? 0;
    cached.delete(id);
  };
  const weigh = (entry: Entry<M>) => {
    const { model } = entry.found;
    const held = model === null ? 0 : (parts.bytesOf?.(model) ?? DECODED_TIMES * entry.artifactBytes);
    bytes += held + ENTRY_BYTES - entry.bytes;
    entry.bytes = held + ENTRY_BYTES;
  };
  const used = (id: number, entry: Entry<M>) => {
    cached.delete(id);
    cached.set(id, entry);
    weigh(entry);
  };
  const forgetTheOldest = () => {
    for (const id of cached.keys()) {
      if (bytes <= parts.megabytesMax * MEGABYTE) return;
      forget(id);
    }
  };

  const refuse = (row: { id: number; version: number }, reason: FallbackReason, detail: string) => {
    parts.log.error({ modelId: row.id, version: row.version, type: parts.type, reason, detail }, "model refused");
    metrics.refused.inc({ reason });
    keep(row.id, { model: null, version: row.version, reason }, 0);
  };

  const open = (row: ArtifactRow) => {
    if (createHash("sha256").update(row.artifact).digest("hex") !== row.sha256) {
      refuse(row, "model_damaged", "the checksum does not match");
      return;
    }
    try {
      // Its own bytes, for a model may hold on to them: those of the row are a part of a larger piece of the connection's.
      const artifact = new Uint8Array(row.artifact);
      keep(row.id, { model: parts.decode(artifact), version: row.version }, artifact.byteLength);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      refuse(row, code === "model_incompatible" ? code : "model_damaged", (error as Error).message);
    }
  };

  const recheck = async () => {
    const ids = [...cached].filter(([, { found }]) => found.model !== null).map(([id]) => id);
    for (let start = 0; start < ids.length; start += AT_ONCE_MAX) {
      const part = ids.slice(start, start + AT_ONCE_MAX);
      const sound = await parts.pool.query<{ id: number }>(
        "select id from model_artifacts where id = any($1::int8[]) and encode(sha256(artifact), 'hex') = sha256",
        [part],
      );
      const soundIds = new Set(sound.rows.map((row) => row.id));
      for (const id of part) {
        const one = cached.get(id);
        if (!soundIds.has(id) && one !== undefined)
          refuse({ id, version: one.found.version }, "model_damaged", "damaged while in use");
      }
    }
  };
  const rechecking = setInterval(() => {
    recheck().catch((error: unknown) => parts.log.warn({ error }, "models could not be checked"));
  }, RECHECK_MS);
  rechecking.unref();

  return {
    async load(modelIds) {
      const held = new Map<number, CachedModel<M>>();
      const missing: number[] = [];
      for (const id of new Set(modelIds)) {
        const entry = cached.get(id);
        if (entry === undefined) missing.push(id);
        else {
          held.set(id, entry.found);
          used(id, entry);
        }
      }
      metrics.lookups.inc({ result: "hit" }, held.size);
      metrics.lookups.inc({ result: "miss" }, missing.length);
      for (let start = 0; start < missing.length; start += AT_ONCE_MAX) {
        const part = missing.slice(start, start + AT_ONCE_MAX);
        const found = await parts.pool.query<ArtifactRow>(
          "select id, version, sha256, artifact from model_artifacts where id = any($1::int8[])",
          [part],
        );
        for (const row of found.rows) open(row);
        for (const id of part) {
          if (!cached.has(id)) keep(id, { model: null, version: 0, reason: "model_missing" }, 0);
          held.set(id, cached.get(id)!.found);
        }
      }
      forgetTheOldest();
      return { get: (modelId) => held.get(modelId) ?? null };
    },
    async [Symbol.asyncDispose]() {
      clearInterval(rechecking);
    },
  };
}

interface Entry<M> {
  found: CachedModel<M>;
  artifactBytes: number;
  bytes: number;
}
