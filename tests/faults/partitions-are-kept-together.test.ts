/**
 * partition 0: decided ──▶ [ its transaction ]
 * partition 1: decided ─┐                    ┌─▶ kept
 * partition 2: decided ─┼─▶ [ the next one ] ┼─▶ kept, unless another replica has it
 * partition 3: decided ─┘                    └─▶ kept, unless it cannot be written
 */
import { openDatabase } from "@calibration/shared/database.ts";
import { createKeeping, type Keep } from "@calibration/shared/keep-together.ts";
import { PositionLost } from "@calibration/shared/positions.ts";
import { expect, it } from "vitest";
import { openPlant, type Plant } from "../support/plant.ts";

const SERVICE = "test";
const PARTITIONS = 4;
const STOOD_AT = 10;

/** Writes a row for each partition, which names its transaction. */
const keep: Keep<number> = async (transaction, decisions) => {
  await transaction.query("insert into kept_by_test (partition, value) select * from unnest($1::int[], $2::int[])", [
    decisions.map(({ batch }) => batch.partition),
    decisions.map(({ decided }) => decided),
  ]);
  return decisions.map(({ decided }) => ({ tell: [], counts: { kept: decided } }));
};

async function keepAll(plant: Plant, decided: readonly number[]) {
  await using database = await openDatabase(plant.databaseUrl, { name: SERVICE, pipeline: true });
  const keepTogether = createKeeping({ pool: database.pool, service: SERVICE, keep });
  return await Promise.allSettled(
    decided.map((value, partition) => {
      const batch = { partition, streamCreated: "then", messages: [], lastSequence: STOOD_AT + 5 };
      return keepTogether({ batch, decided: value, kept: STOOD_AT, counters: { kept: 1 }, bytes: 0, alone: false });
    }),
  );
}

async function openKept() {
  const plant = await openPlant();
  await plant.rows(
    `create table kept_by_test (partition int, value int check (value > 0), in_transaction text default pg_current_xact_id())`,
  );
  await plant.rows(
    `insert into stream_positions (service, partition, stream_created, kept, told, snapshot, attempts, counters, untold)
      select $1, i, 'then', $2, 0, 0, 1, '{}', '[]' from generate_series(0, $3::int - 1) i`,
    [SERVICE, STOOD_AT, PARTITIONS],
  );
  return plant;
}

const positions = (plant: Plant) =>
  plant.rows(
    "select partition, kept, (counters->>'kept')::int as counted from stream_positions where service = $1 order by 1",
    [SERVICE],
  );

it("what is decided while a transaction is under way goes into the next one, all of it", async () => {
  await using plant = await openKept();
  const ends = await keepAll(plant, [1, 2, 3, 4]);
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "fulfilled"]);
  const transactions = await plant.rows(
    "select array_agg(partition order by partition) as partitions from kept_by_test group by in_transaction order by 1",
  );
  expect(transactions).toEqual([{ partitions: [0] }, { partitions: [1, 2, 3] }]);
  expect(await positions(plant)).toEqual([
    { partition: 0, kept: 15, counted: 2 },
    { partition: 1, kept: 15, counted: 3 },
    { partition: 2, kept: 15, counted: 4 },
    { partition: 3, kept: 15, counted: 5 },
  ]);
});

it("a partition that another replica has, and one that cannot be written, fail for nobody but themselves", async () => {
  await using plant = await openKept();
  await plant.rows("update stream_positions set kept = 12 where service = $1 and partition = 2", [SERVICE]);
  const [first, second, lost, refused] = await keepAll(plant, [1, 2, 3, -4]);
  expect([first!.status, second!.status]).toEqual(["fulfilled", "fulfilled"]);
  expect((lost as PromiseRejectedResult).reason).toBeInstanceOf(PositionLost);
  expect((refused as PromiseRejectedResult).reason).toMatchObject({ code: "23514" });
  expect(await plant.rows("select partition, value from kept_by_test order by 1")).toEqual([
    { partition: 0, value: 1 },
    { partition: 1, value: 2 },
  ]);
  expect(await positions(plant)).toEqual([
    { partition: 0, kept: 15, counted: 2 },
    { partition: 1, kept: 15, counted: 3 },
    { partition: 2, kept: 12, counted: null },
    { partition: 3, kept: 10, counted: null },
  ]);
});
