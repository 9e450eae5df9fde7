/**
 * Once for all test files: PostgreSQL with a migrated template database, and the way to NATS. They are the first to be
 * had of: those that TEST_NATS_URL and TEST_DATABASE_URL name, containers, the embedded ones.
 */
import { prepareDatabase, type DatabasePasswords } from "@calibration/servers/database-roles.ts";
import { findNatsServer } from "@calibration/servers/nats-binary.ts";
import { openTestDatabaseServer } from "@calibration/servers/test-servers.ts";
import { buildDashboard } from "@calibration/dashboard/build.ts";
import { migrateDatabase } from "@calibration/shared/migrate.ts";
import { SERVICE_USERS } from "@calibration/servers/nats-config.ts";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    databaseUrl: string;
    /** By which the services sign in; null where PostgreSQL is given, and one user is everybody. */
    databasePasswords: DatabasePasswords | null;
    natsBinary: string | null;
    /** Null where NATS does not run in containers. */
    natsContainer: { image: string; labels: Record<string, string> } | null;
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
  const server = await openServers(localDirectory);
  const databasePasswords = server.isGiven ? null : randomPasswords();
  await makeTemplate(server.databaseUrl, databasePasswords);
  project.provide("databasePasswords", databasePasswords);
  project.provide("databaseUrl", server.databaseUrl);
  project.provide("natsBinary", server.natsBinary);
  project.provide("natsContainer", server.natsContainer);
  project.provide("localDirectory", localDirectory);
  return () => server[Symbol.asyncDispose]();
}

interface Servers extends AsyncDisposable {
  isGiven: boolean;
  databaseUrl: string;
  natsBinary: string | null;
  natsContainer: { image: string; labels: Record<string, string> } | null;
}

async function openServers(localDirectory: string): Promise<Servers> {
  const say = (text: string): void => console.log(text);
  const { env } = process;
  const isGiven = env["TEST_DATABASE_URL"] !== undefined && env["TEST_NATS_URL"] !== undefined;
  const wantsDocker = env["REQUIRE"]?.split(",").includes("docker") === true;
  if (!isGiven) {
    const trouble = noContainers(env);
    try {
      if (trouble !== null) throw new Error(trouble);
      // Some tests end a server as only a process can be ended, and `npm start` brings its own.
      const natsBinary = await findNatsServer({ localDirectory, say, env });
      // Loaded where there is an engine: it is the largest dependency of all.
      const { openContainers } = await import("./containers.ts");
      const containers = await openContainers();
      say(`servers: containers of ${containers.engine}`);
      const { databaseUrl, natsImage, labels } = containers;
      return {
        isGiven: false,
        databaseUrl,
        natsBinary,
        natsContainer: { image: natsImage, labels },
        [Symbol.asyncDispose]: () => containers[Symbol.asyncDispose](),
      };
    } catch (error) {
      if (wantsDocker) throw new Error("REQUIRE=docker, and no servers in containers", { cause: error });
      say(`servers: no containers (${(error as Error).message})`);
    }
  }
  const server = await openTestDatabaseServer({ localDirectory, say });
  return {
    isGiven: server.kind === "given",
    databaseUrl: server.databaseUrl,
    natsBinary: server.natsBinary,
    natsContainer: null,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Why there can be no containers, where that is plain at a glance; null where an engine is worth asking. */
function noContainers(env: NodeJS.ProcessEnv): string | null {
  if (env["TEST_SERVERS"] === "embedded") return "TEST_SERVERS=embedded";
  const places = [
    "/var/run/docker.sock",
    `${env["XDG_RUNTIME_DIR"]}/docker.sock`,
    ...[".docker/run/docker.sock", ".docker/desktop/docker.sock", ".testcontainers.properties"].map(
      (path) => `${homedir()}/${path}`,
    ),
  ];
  return env["DOCKER_HOST"] !== undefined || places.some((place) => existsSync(place)) ? null : "no Docker engine";
}

/** Nobody else shares these servers, so that the roles of a platform may stand there. */
export const randomPasswords = (): DatabasePasswords =>
  Object.fromEntries(SERVICE_USERS.map((user) => [user, randomBytes(16).toString("hex")])) as DatabasePasswords;

async function makeTemplate(databaseUrl: string, passwords: DatabasePasswords | null): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`drop database if exists ${TEMPLATE} with (force)`);
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  const template = new URL(databaseUrl);
  template.pathname = `/${TEMPLATE}`;
  if (passwords === null) await migrateDatabase(template.href);
  else await prepareDatabase(template.href, passwords);
}
