/** Once for all test files: PostgreSQL with a migrated template database, and the way to nats-server. */
import { openTestDatabaseServer } from "@calibration/servers/test-servers.ts";
import { buildDashboard } from "@calibration/dashboard/build.ts";
import { migrateDatabase } from "@calibration/shared/migrate.ts";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    databaseUrl: string;
    natsBinary: string | null;
    localDirectory: string;
    /** When the run began: {@link needsSpareTime} looks at it. */
    begunMs: number;
  }
}

export const TEMPLATE = "calibration_template";

export default async function setup(project: TestProject) {
  project.provide("begunMs", Date.now());
  // A dashboard that cannot be built fails the tests that look at it, not the others.
  await buildDashboard().catch((error: unknown) => console.error((error as Error).message));
  const localDirectory = fileURLToPath(new URL("../../.local", import.meta.url));
  const server = await openTestDatabaseServer({ localDirectory, say: (text) => console.log(text) });
  await makeTemplate(server.databaseUrl);
  project.provide("databaseUrl", server.databaseUrl);
  project.provide("natsBinary", server.natsBinary);
  project.provide("localDirectory", localDirectory);
  return () => server[Symbol.asyncDispose]();
}

async function makeTemplate(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`drop database if exists ${TEMPLATE} with (force)`);
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  const template = new URL(databaseUrl);
  template.pathname = `/${TEMPLATE}`;
  await migrateDatabase(template.href);
}
