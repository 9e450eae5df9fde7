/**
 *   which sensors are these? ──▶ ╳ ──▶ what is known of them?      the connection breaks between the two
 */
import { openDatabase } from "@calibration/shared/database.ts";
import { createFacts, FACT_LEAD_MS } from "@calibration/shared/facts.ts";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { openPlant } from "../support/plant.ts";

it("what was half read of a sensor is not taken for all there is", async () => {
  await using plant = await openPlant({ services: [] });
  const sensor = await plant.aSensor({ id: 1 });
  await plant.rows(
    `insert into calibrations (sensor_id, method, params, corrected_value, applied_at, valid_from)
     values (1, 'linear', '{"slope": 2, "intercept": 1}', 50, now() - interval '1 day', now() - interval '1 day')`,
  );
  await using database = await openDatabase(plant.databaseUrl, { name: "test" });
  const { pool } = database;
  const query = pool.query.bind(pool);
  let breaks = true;
  // Passes on all but one statement.
  const breaking = ((asked: unknown, values?: unknown[]) => {
    if (breaks && typeof asked === "string" && asked.includes("from calibrations where sensor_id = any")) {
      breaks = false;
      return Promise.reject(new Error("Connection terminated unexpectedly"));
    }
    return query(asked as string, values);
  }) as typeof pool.query;
  const facts = createFacts({ query: breaking });

  await expect(facts.refresh([sensor], Date.now())).rejects.toThrow("Connection terminated");
  // The sensor was made just now and its calibration is older, so the next look brings the one and not the other.
  await pause(FACT_LEAD_MS);
  const laterMs = Date.now();
  await facts.refresh([], laterMs);
  await facts.refresh([sensor], laterMs);
  expect(facts.at(sensor.site, sensor.key, laterMs)?.calibrations).toHaveLength(1);
});
