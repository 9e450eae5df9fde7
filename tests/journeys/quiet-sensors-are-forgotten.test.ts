/**
 *   readings of many sensors ──▶ anomaly, which holds few of them ──▶ the anomalies of one that holds them all
 */
import { judgeReadings, keepJudged } from "../../services/anomaly/src/handler.ts";
import { createRandom } from "@calibration/models/random.ts";
import { inTransaction, openDatabase } from "@calibration/shared/database.ts";
import { createFacts } from "@calibration/shared/facts.ts";
import type { Heard } from "@calibration/shared/hear.ts";
import { expect, it } from "vitest";
import { openPlant, type Plant } from "../support/plant.ts";

const SENSORS = 12;
const HELD = 3;
/** A snapshot is written after 50 000 readings, and only then is anything forgotten. */
const ROUNDS = 16;
const READINGS = 500;
const MINUTE_MS = 60_000;

it("a replica that holds few sensors judges as one that holds all of them", async () => {
  await using plant = await openPlant();
  for (let id = 1; id <= SENSORS; id++) await plant.aSensor({ id });
  const batches = aLog();
  const all = await judge(plant, batches, SENSORS);
  const few = await judge(plant, batches, HELD);
  expect(all.readAgain).toBe(0);
  expect(few.readAgain).toBeGreaterThanOrEqual(SENSORS - HELD);
  expect(few.rows).toEqual(all.rows);
  expect(all.rows.filter((row) => row.includes('"alarm": true')).length).toBeGreaterThan(SENSORS);
});

/** Each batch is one round of all sensors; in some of them half of the sensors are silent. */
function aLog(): Heard[][] {
  const random = createRandom(5);
  const storedMs = Date.now();
  const firstMs = Math.floor(storedMs / MINUTE_MS) * MINUTE_MS - 2 * ROUNDS * READINGS * MINUTE_MS;
  let sequence = 0;
  return Array.from({ length: ROUNDS }, (_, round) =>
    Array.from({ length: SENSORS }, (_, n) => n + 1)
      .filter((id) => round < 8 || (id + round) % 2 === 0)
      .map((id) => {
        const readings = Array.from({ length: READINGS }, (_, i) => {
          const at = round * READINGS + i;
          const strange = at % 700 < 5 && at > 700 ? 15 : 0;
          return {
            value: Number((20 + id + 3 * Math.sin((at / 1440) * 2 * Math.PI) + random.normal() + strange).toFixed(3)),
            timestamp: firstMs + at * MINUTE_MS,
          };
        });
        return {
          sequence: ++sequence,
          subject: `readings.0.main.${id}`,
          storedMs,
          payload: new TextEncoder().encode(JSON.stringify(readings)),
          traceparent: null,
        };
      }),
  );
}

async function judge(plant: Plant, batches: readonly Heard[][], sensorsHeldMax: number) {
  await using database = await openDatabase(plant.databaseUrl, { name: "test", pipeline: true });
  const { pool } = database;
  for (const table of ["anomalies", "anomaly_state", "novelty_snapshots", "sensor_status"])
    await plant.rows(`delete from ${table}`);
  let asked = 0;
  const query = pool.query.bind(pool);
  // Only counts what it passes on.
  pool.query = ((text: unknown, values?: [unknown[]]) => {
    if (typeof text === "string" && text.includes("from novelty_snapshots")) asked += values![0].length;
    return query(text as string, values);
  }) as typeof pool.query;
  const handler = judgeReadings({
    partition: 0,
    position: { kept: 0, snapshot: 0 },
    pool,
    facts: createFacts(pool),
    models: { load: async () => ({ get: () => null }) },
    retentionDays: 0,
    sensorsHeldMax,
  });
  for (const messages of batches) {
    const batch = { partition: 0, streamCreated: "once", messages, lastSequence: messages.at(-1)!.sequence };
    const decided = await handler.decide(batch);
    await inTransaction(pool, (transaction) => keepJudged(transaction, [{ batch, decided }]));
    handler.committed!();
  }
  const rows = await plant.rows<{ one: string }>(
    `select (to_jsonb(a) - 'id')::text as one from anomalies a
     union all select to_jsonb(s)::text from anomaly_state s
     union all select to_jsonb(s)::text from sensor_status s order by 1`,
  );
  return { readAgain: asked - SENSORS, rows: rows.map(({ one }) => one) };
}
