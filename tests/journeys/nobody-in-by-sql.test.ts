/**
 *   each service's role ──▶ its own tables: written · the others': read, and no more · who is let in: the gateway's alone
 *                      └──▶ no table made, altered or dropped, but a month of what it keeps, by the owner's hand
 */
import { databaseUrlOf, prepareDatabase, WRITES } from "@calibration/servers/database-roles.ts";
import { SERVICE_USERS, type ServiceUser } from "@calibration/servers/nats-config.ts";
import { afterAll, describe, expect, inject, it } from "vitest";
import { openDatabase } from "@calibration/shared/database.ts";
import { migrateDatabase } from "@calibration/shared/migrate.ts";
import { createTimePartitions, dropExpired } from "@calibration/shared/time-partitions.ts";
import { randomBytes } from "node:crypto";
import pg from "pg";
import { openPlant, type Plant } from "../support/plant.ts";

const PRIVILEGE_MISSING = "42501";

const stack = new AsyncDisposableStack();
let opened: Promise<Plant> | null = null;
const thePlant = () => (opened ??= openPlant().then((plant) => stack.use(plant)));
afterAll(() => stack.disposeAsync());

const pools = new Map<ServiceUser, pg.Pool>();
async function poolOf(service: ServiceUser): Promise<pg.Pool> {
  const plant = await thePlant();
  let pool = pools.get(service);
  if (pool === undefined) {
    pool = new pg.Pool({ connectionString: plant.databaseUrlOf(service), max: 1 });
    pools.set(service, pool);
    stack.defer(() => pool!.end());
  }
  return pool;
}

/** Null where it was done, else PostgreSQL's code. */
const attempt = async (service: ServiceUser, text: string, values: unknown[] = []): Promise<string | null> =>
  (await poolOf(service)).query(text, values).then(
    () => null,
    (error: unknown) => String((error as { code?: unknown }).code),
  );

describe.skipIf(inject("databasePasswords") === null)("a service's role", () => {
  it("is that of the service: every one signs in as itself, and is no superuser", async () => {
    for (const service of SERVICE_USERS) {
      const { rows } = await (
        await poolOf(service)
      ).query(
        "select current_user as name, rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user",
      );
      expect(rows).toEqual([{ name: service, rolsuper: false, rolcreatedb: false, rolcreaterole: false }]);
    }
  });

  it("has for every table somebody who writes it, and those who do not are refused", async () => {
    const plant = await thePlant();
    const tables = (
      await plant.rows<{ name: string }>(
        "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1",
      )
    ).map(({ name }) => name);
    expect(tables.length).toBeGreaterThan(20);
    for (const table of tables) {
      const writers = SERVICE_USERS.filter((service) => /insert/.test(WRITES[service][table] ?? ""));
      expect(writers, `who writes ${table}`).not.toEqual([]);
      for (const service of SERVICE_USERS) {
        // Nothing is inserted: without a right to do so it is refused before it is looked at.
        const refused = await attempt(
          service,
          `insert into ${table} overriding system value select * from ${table} where false`,
        );
        expect({ table, service, refused }).toEqual({
          table,
          service,
          refused: writers.includes(service) ? null : PRIVILEGE_MISSING,
        });
      }
    }
  });

  it("changes no artifact, empties no table, and reads who is let in only as the gateway", async () => {
    for (const service of SERVICE_USERS) {
      const tried = {
        artifact: await attempt(service, "update model_artifacts set artifact = ''"),
        truncate: await attempt(service, "truncate readings"),
        value: await attempt(service, "update readings set raw_value = 0"),
        tokens: await attempt(service, "select sha256 from tokens"),
        sessions: await attempt(service, "select sha256 from sessions"),
        audit: await attempt(service, "delete from audit_log"),
        roles: await attempt(service, "select rolpassword from pg_authid"),
        files: await attempt(service, "copy sensors to '/tmp/copied'"),
        program: await attempt(service, "copy sensors to program 'true'"),
        settings: await attempt(service, "alter system set fsync = off"),
      };
      const [no, ifGateway] = [PRIVILEGE_MISSING, service === "gateway" ? null : PRIVILEGE_MISSING];
      expect({ service, ...tried }).toEqual({
        service,
        artifact: no,
        truncate: no,
        value: no,
        tokens: ifGateway,
        sessions: ifGateway,
        audit: no,
        roles: no,
        files: no,
        program: no,
        settings: no,
      });
    }
  });

  it("makes, alters and drops no table, but months of what it keeps", async () => {
    const plant = await thePlant();
    for (const service of SERVICE_USERS) {
      expect(await attempt(service, "create table mine (n int)")).toBe(PRIVILEGE_MISSING);
      expect(await attempt(service, "alter table sensors add column mine int")).toBe(PRIVILEGE_MISSING);
      expect(await attempt(service, "drop table readings")).toBe(PRIVILEGE_MISSING);
      expect(await attempt(service, "set role owner")).toBe(PRIVILEGE_MISSING);
      for (const [table, keeper] of [
        ["readings", "ingest"],
        ["corrected_readings", "calibration"],
      ] as const)
        expect({
          service,
          table,
          refused: await attempt(service, "select make_month($1, '2020-05-17')", [table]),
        }).toEqual({ service, table, refused: service === keeper ? null : PRIVILEGE_MISSING });
      expect(await attempt(service, "select make_month('anomalies', '2020-05-17')")).toBe(PRIVILEGE_MISSING);
      // A month that is not over is nobody's to drop.
      expect(await attempt(service, "select drop_month('readings', now()::date)")).toBe(PRIVILEGE_MISSING);
    }
    // Somebody's own table of that name, which his sessions see before all others, is not what is acted on.
    expect(
      await attempt("ingest", "create temporary table readings (timestamp timestamptz) partition by range (timestamp)"),
    ).toBe(null);
    expect(await attempt("ingest", "select make_month('readings', '2020-06-01')")).toBe(null);
    const months = await plant.rows(
      "select inhrelid::regclass::text as month from pg_inherits where inhparent = 'public.readings'::regclass order by 1",
    );
    expect(months).toEqual([
      { month: "readings_2020_05" },
      { month: "readings_2020_06" },
      { month: "readings_default" },
    ]);
    expect(await attempt("ingest", "drop table pg_temp.readings")).toBe(null);
  });

  it("drops what the retention has passed", async () => {
    const plant = await thePlant();
    const pool = await poolOf("ingest");
    await createTimePartitions(pool, "readings").ensure([Date.UTC(2021, 2, 9)]);
    for (const timestamp of ["2021-03-09T00:00:00Z", "1999-01-01T00:00:00Z"])
      await pool.query("insert into readings values (1, $1, 20, 0, 1, $1)", [timestamp]);
    expect(await dropExpired(pool, "readings", 1000, Date.UTC(2024, 0, 1))).toContain("readings_2021_03");
    expect(await plant.rows("select 1 from readings where sensor_id = 1")).toEqual([]);
  });

  it("has its rights again after another preparation, and what was too much is gone", async () => {
    const plant = await thePlant();
    await plant.database.pool.query("grant delete on audit_log to trainer");
    expect(await attempt("trainer", "delete from audit_log where false")).toBe(null);
    await Promise.all([1, 2].map(() => prepareDatabase(plant.databaseUrl, inject("databasePasswords")!)));
    expect(await attempt("trainer", "delete from audit_log where false")).toBe(PRIVILEGE_MISSING);
    expect(
      await attempt(
        "trainer",
        "insert into training_runs overriding system value select * from training_runs where false",
      ),
    ).toBe(null);
  });
});

it.skipIf(inject("databasePasswords") === null)(
  "is given an installation whose tables are the superuser's own, with what stands in them",
  async () => {
    const plant = await thePlant();
    const name = `test_${randomBytes(6).toString("hex")}`;
    const url = new URL(plant.databaseUrl);
    url.pathname = `/${name}`;
    await plant.database.pool.query(`create database ${name}`);
    stack.defer(async () => void (await plant.database.pool.query(`drop database ${name} with (force)`)));
    await migrateDatabase(url.href);
    const administrator = stack.use(await openDatabase(url.href, { name: "test" }));
    await createTimePartitions(administrator.pool, "readings").ensure([Date.UTC(2021, 2, 9)]);
    await administrator.pool.query("insert into readings values (1, '2021-03-09', 20, 0, 1, now())");

    const passwords = inject("databasePasswords")!;
    await prepareDatabase(url.href, passwords);
    const ingest = stack.use(await openDatabase(databaseUrlOf("ingest", url.href, passwords), { name: "test" }));
    expect(await dropExpired(ingest.pool, "readings", 1000, Date.UTC(2021, 0, 1))).toEqual([]);
    expect((await ingest.pool.query("select raw_value from readings")).rows).toEqual([{ raw_value: 20 }]);
    expect(await dropExpired(ingest.pool, "readings", 1000, Date.UTC(2024, 0, 1))).toEqual(["readings_2021_03"]);
    const others = await administrator.pool.query(
      "select relname from pg_class where relnamespace = 'public'::regnamespace and pg_get_userbyid(relowner) <> 'owner'",
    );
    expect(others.rows).toEqual([]);
  },
);
