/**
 *   a reading that ingest takes for new ──▶ [ refused: it stands already ] ──▶ opened again ──▶ a repeat
 *
 * What is newer than all that ingest kept of a sensor is written without a look for a repeat. Somebody may have written to
 * the table beside ingest.
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";

it("a reading that somebody else wrote is a repeat, and holds up nobody", async () => {
  await using plant = await openPlant({ partitions: 1 });
  const sensor = await plant.aSensor({ id: 1 });
  const ingest = await plant.start("ingest");
  const atMs = Date.now() - 600_000;
  const values = () =>
    plant
      .rows<{ raw_value: number }>("select raw_value from readings order by timestamp")
      .then((rows) => rows.map((row) => row.raw_value));

  await plant.publish(sensor, { value: 1, timestamp: atMs });
  await expect.poll(values, { timeout: WAIT_MS }).toEqual([1]);
  await plant.rows("insert into readings values (1, to_timestamp($1 / 1000.0), 2, 0, 99, now())", [atMs + 1000]);
  await plant.publish(sensor, { value: 20, timestamp: atMs + 1000 });
  await plant.publish(sensor, { value: 3, timestamp: atMs + 2000 });
  await expect.poll(values, { timeout: WAIT_MS }).toEqual([1, 2, 3]);
  expect(await plant.rows("select counters->'repeated' as repeated from stream_positions")).toEqual([{ repeated: 1 }]);
  expect(await plant.rows("select 1 from dead_letters")).toEqual([]);
  // It was what this is about: the look was left out, and missed.
  expect(ingest.output()).toContain("duplicate key value");
});
