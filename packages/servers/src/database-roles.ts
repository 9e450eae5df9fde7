/**
 * Who may do what in PostgreSQL. The tables belong to a role that nobody can sign in as; each service signs in as itself,
 * reads what the platform knows, writes its own tables, and makes or alters none.
 */
import { migrateDatabase } from "@calibration/shared/migrate.ts";
import pg from "pg";
import { SERVICE_USERS, type ServiceUser } from "./nats-config.ts";

export type DatabasePasswords = Record<ServiceUser, string>;

const OWNER = "owner";
/** Any constant would do; the next eight digits of pi are not those of the migrations' lock. */
const ADVISORY_LOCK = 53_589_793;

/** What a service may do beside reading. Columns stand where the rest of a row never changes. */
export type Writes = Readonly<Record<string, string>>;

const OWN_PLACE: Writes = { stream_positions: "insert, update", dead_letters: "insert" };
const FOLD = "insert, update";

export const WRITES: Readonly<Record<ServiceUser, Writes>> = {
  ingest: {
    ...OWN_PLACE,
    readings: "insert",
    // What strayed past the months goes by itself when it is too old.
    readings_default: "select, delete",
    readings_per_minute: FOLD,
    readings_per_hour: FOLD,
    sensor_latest: FOLD,
  },
  anomaly: { ...OWN_PLACE, anomalies: FOLD, sensor_status: FOLD, anomaly_state: FOLD, novelty_snapshots: FOLD },
  drift: { ...OWN_PLACE, sensor_drift: FOLD, hourly_means: "insert", drift_predictions: "insert" },
  calibration: {
    ...OWN_PLACE,
    corrected_readings: "insert",
    corrected_readings_default: "select, delete",
    corrected_per_hour: FOLD,
    correction_state: FOLD,
  },
  trainer: {
    model_artifacts: "insert, update (current), delete",
    model_promotions: "insert",
    training_runs: "insert",
    training_jobs: "insert",
  },
  gateway: {
    sensors: "insert, update, delete",
    sensor_versions: FOLD,
    site_budgets: FOLD,
    calibrations: "insert, delete",
    tokens: FOLD,
    sessions: "insert, delete",
    audit_log: "insert",
    training_jobs: "insert",
    model_promotions: "insert, delete",
    model_artifacts: "update (current), delete",
    dead_letters: "update (replayed_at)",
    // A sensor that is deleted with force takes along what was kept of it.
    readings: "delete",
    readings_per_minute: "delete",
    readings_per_hour: "delete",
    sensor_latest: "delete",
    anomalies: "delete",
    sensor_status: "delete",
    anomaly_state: "delete",
    novelty_snapshots: "delete",
    sensor_drift: "delete",
    hourly_means: "delete",
    drift_predictions: "delete",
    corrected_readings: "delete",
    corrected_per_hour: "delete",
    correction_state: "delete",
    training_runs: "delete",
  },
};

/** Who is let in, and who did what, is nobody's to read but the one's who asks. */
const GATEWAY_ONLY = ["tokens", "sessions", "audit_log"];

/** The same database, as a service signs in. */
export function databaseUrlOf(service: ServiceUser, url: string, passwords: DatabasePasswords): string {
  const own = new URL(url);
  own.username = service;
  own.password = passwords[service];
  return own.href;
}

/**
 * Makes the roles, migrates as the tables' owner, and gives each role its rights; safe to run again, and beside another.
 * `administratorUrl` is a superuser's, as that of our own servers is. On a database where there is none, one user that
 * owns the tables may be everybody: then `migrateDatabase` alone does.
 */
export async function prepareDatabase(administratorUrl: string, passwords: DatabasePasswords): Promise<void> {
  await asAdministrator(administratorUrl, async (client) => {
    for (const role of [OWNER, ...SERVICE_USERS]) await makeRole(client, role);
    for (const role of SERVICE_USERS)
      await client.query(`alter role ${quoted(role)} login password ${client.escapeLiteral(passwords[role])}`);
    await giveToOwner(client);
  });
  await migrateDatabase(administratorUrl, { as: OWNER });
  await asAdministrator(administratorUrl, grantRights);
}

async function makeRole(client: pg.Client, role: string): Promise<void> {
  const found = await client.query("select 1 from pg_roles where rolname = $1", [role]);
  if (found.rows.length === 0)
    await client.query(
      `create role ${quoted(role)} nosuperuser nocreatedb nocreaterole noreplication nobypassrls nologin`,
    );
}

/** An installation from before there were roles has tables that belong to its superuser. */
async function giveToOwner(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('alter database %I owner to ${OWNER}', datname) as statement
       from pg_database where datname = current_database() and pg_get_userbyid(datdba) <> $1
     union all
     select format('alter schema %I owner to ${OWNER}', nspname) from pg_namespace where nspname = 'drizzle' and pg_get_userbyid(nspowner) <> $1
     union all
     select format('alter table %s owner to ${OWNER}', oid::regclass) from pg_class
      where relnamespace::regnamespace::text in ('public', 'drizzle') and relkind in ('r', 'p') and pg_get_userbyid(relowner) <> $1
     union all
     select format('alter function %s owner to ${OWNER}', oid::regprocedure) from pg_proc
      where pronamespace::regnamespace::text = 'public' and pg_get_userbyid(proowner) <> $1`,
    [OWNER],
  );
  for (const { statement } of rows) await client.query(statement);
  // Also in a database that is made from this one as a template, and belongs to whoever made it.
  await client.query(`grant usage, create on schema public to ${OWNER}`);
}

async function grantRights(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition",
  );
  const tables = rows.map(({ name }) => name);
  const services = SERVICE_USERS.map(quoted).join(", ");
  const named = (names: readonly string[]): string => names.map(quoted).join(", ");
  await client.query(`revoke all on ${named(tables)} from ${services}`);
  await client.query(`grant select on ${named(tables.filter((name) => !GATEWAY_ONLY.includes(name)))} to ${services}`);
  await client.query(`grant select on ${named(GATEWAY_ONLY)} to gateway`);
  for (const service of SERVICE_USERS)
    for (const [table, rights] of Object.entries(WRITES[service]))
      await client.query(`grant ${rights} on ${quoted(table)} to ${quoted(service)}`);
  // The ids of sensors that are given none are drawn before the row is written.
  await client.query("grant usage on sequence sensors_id_seq to gateway");
  await client.query("grant execute on function make_month, drop_month to ingest, calibration");
}

const TRIES_MAX = 5;
const PAUSE_MS = 200;

/** In one transaction, one at a time. What is running may touch the same rows of the catalogue; then it is done again. */
async function asAdministrator(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query("begin");
      await client.query("select pg_advisory_xact_lock($1)", [ADVISORY_LOCK]);
      await work(client);
      await client.query("commit");
      return;
    } catch (error) {
      const isBusy = /tuple concurrently (updated|deleted)|deadlock detected/.test((error as Error).message);
      if (!isBusy || attempt === TRIES_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    } finally {
      await client.end();
    }
  }
}

const quoted = (name: string): string => pg.escapeIdentifier(name);
