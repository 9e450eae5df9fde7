/**
 *   model_artifacts ──▶ a replica's cache, which holds some megabytes of them ──▶ the models of each batch, all of them
 */
import { createLog } from "@calibration/shared/log.ts";
import { createRegistry } from "@calibration/shared/metrics.ts";
import { createModelCache } from "@calibration/shared/model-cache.ts";
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { openPlant } from "../support/plant.ts";

const MODELS = 40;
const MODEL_BYTES = 100_000;
const MEGABYTES = 2;

it("a replica holds as many models as its memory allows, and each batch has all of its own", async () => {
  await using plant = await openPlant();
  await plant.aSensor({ id: 1 });
  const artifacts = Array.from({ length: MODELS }, (_, n) => Buffer.alloc(MODEL_BYTES, n));
  const ids = await plant.rows<{ id: number }>(
    `insert into model_artifacts (model_name, model_type, sensor_id, version, current, algorithm, params, features, samples, metrics,
       trained_at, trigger, size_bytes, sha256, artifact)
     select 'm', 'drift', 1, n, false, 'linear_regression', '{}', '[]', 1, '{}', now(), 'cli', $1, s, a
       from unnest($2::text[], $3::bytea[]) with ordinality as u(s, a, n) order by n returning id`,
    [MODEL_BYTES, artifacts.map((one) => createHash("sha256").update(one).digest("hex")), artifacts],
  );
  const registry = createRegistry("test");
  await using cache = createModelCache<Uint8Array>({
    type: "drift",
    pool: plant.database.pool,
    decode: (artifact) => artifact,
    bytesOf: (artifact) => artifact.byteLength,
    megabytesMax: MEGABYTES,
    log: createLog("test", "fatal"),
    registry,
  });
  const figure = async (name: string) => (await registry.getSingleMetric(name)!.get()).values[0]!.value;
  const firstByte = (held: Awaited<ReturnType<typeof cache.load>>, n: number) => held.get(ids[n]!.id)?.model?.[0];

  const early = await cache.load(ids.slice(0, 15).map(({ id }) => id));
  // What another partition loads meanwhile takes the place of the first ones, and not from under those who hold them.
  const all = await cache.load(ids.map(({ id }) => id));
  for (let n = 0; n < MODELS; n++) expect(firstByte(all, n)).toBe(n);
  for (let n = 0; n < 15; n++) expect(firstByte(early, n)).toBe(n);
  expect(early.get(ids[20]!.id)).toBeNull();
  const held = await figure("calibration_model_cache_models");
  expect(held).toBeGreaterThan(15);
  expect(held).toBeLessThan(MODELS);
  expect(await figure("calibration_model_cache_bytes")).toBeLessThanOrEqual(MEGABYTES * 1024 ** 2);

  // The one used last is the last to go: it is not read again.
  const misses = async () =>
    (await registry.getSingleMetric("calibration_model_cache_lookups_total")!.get()).values.find(
      ({ labels }) => labels["result"] === "miss",
    )!.value;
  const before = await misses();
  const last = ids.at(-1)!.id;
  await cache.load([last]);
  expect(await misses()).toBe(before);
  const again = await cache.load(ids.slice(0, 10).map(({ id }) => id));
  expect(firstByte(again, 3)).toBe(3);
  expect(await misses()).toBe(before + 10);
  await cache.load([last]);
  expect(await misses()).toBe(before + 10);
});
