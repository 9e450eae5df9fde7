/**
 *   transaction ──▶ PostgreSQL ends the session ──▶ an error of that transaction, and the process lives on
 */
import { openBus } from "@calibration/shared/bus.ts";
import { inTransaction, isDatabaseTrouble } from "@calibration/shared/database.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { expect, it } from "vitest";
import { openPlant } from "../support/plant.ts";

it("a connection that is ended within a transaction fails that transaction as trouble of the moment, and nothing else", async () => {
  await using plant = await openPlant();
  const { pool } = plant.database;
  const ended = await inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    const broken = new Promise((resolve) => client.once("error", resolve));
    await pool.query("select pg_terminate_backend($1)", [rows[0]!.pid]);
    // It breaks while nothing is asked of it, as a session does that stood idle for too long.
    await broken;
    await client.query("select 1");
  }).catch((error: unknown) => error);
  expect(isDatabaseTrouble(ended)).toBe(true);
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});

it("a service that is told of several NATS servers takes the one that answers", async () => {
  await using plant = await openPlant();
  const { port } = await freePort(20_000);
  await using bus = await openBus({
    natsUrl: `nats://127.0.0.1:${port},${plant.nats.url}`,
    natsUser: "admin",
    natsPassword: plant.nats.users.admin,
    name: "test",
  });
  expect(bus.connection.getServer()).toBe(new URL(plant.nats.url).host);
});
