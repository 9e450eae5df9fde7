/** Migrations: Drizzle's, run once by whoever comes first; who comes second waits for the lock and finds them done. */
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { fileURLToPath } from "node:url";
import pg from "pg";

const MIGRATIONS = fileURLToPath(new URL("../migrations", import.meta.url));
/** Any constant would do; the first eight digits of pi collide with nobody's. */
const ADVISORY_LOCK = 31_415_926;

/** `as` names the role that what is made shall belong to; else it is the one who signs in. */
export async function migrateDatabase(databaseUrl: string, { as }: { as?: string } = {}): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [ADVISORY_LOCK]);
    if (as !== undefined) await client.query(`set role ${client.escapeIdentifier(as)}`);
    await migrate(drizzle(client), { migrationsFolder: MIGRATIONS });
  } finally {
    await client.end();
  }
}
