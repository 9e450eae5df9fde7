/** Where the running platform is found: written by `npm start` when it is ready, removed when it stops. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Everything that is kept; tests keep theirs elsewhere. */
export const LOCAL = process.env["LOCAL_DIRECTORY"] ?? fileURLToPath(new URL("../../.local", import.meta.url));
const FILE = `${LOCAL}/endpoints.json`;

export interface Endpoints {
  gateway: string;
  nats: string;
  monitor: string;
  postgres: string;
  tokens: { admin: string; operator: string; viewer: string; plant: string };
  nats_users: Record<string, { user: string; password: string }>;
  metrics: Record<string, string[]>;
  pids: Record<string, number[]>;
  /** What the start's environment said to the services; a replica that is added has to be told the same. */
  settings: Record<string, string>;
}

const PASSED_ON = [
  "LOG_LEVEL",
  "READINGS_RETENTION_DAYS",
  "MODEL_CACHE_MB",
  "REQUESTS_PER_MINUTE",
  "PUBLIC_URL",
  "TRAINER_SCHEDULE",
  "TRAINER_MAX_AGE_DAYS",
  "TRAINER_THREADS",
] as const;

/** The services' settings that whoever starts the platform may give it. */
export const settingsOf = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(PASSED_ON.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));

/** Whole or not at all: a command may read it at any moment. */
export function writeEndpoints(endpoints: Endpoints): void {
  writeFileSync(`${FILE}.part`, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${FILE}.part`, FILE);
}
export const removeEndpoints = (): void => rmSync(FILE, { force: true });
export const readEndpoints = (): Endpoints | null =>
  existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Endpoints) : null;

/** Changes what stands there now, while the platform runs; a replica that was added by hand has written there as well. */
export function changeEndpoints(change: (endpoints: Endpoints) => void): void {
  const endpoints = readEndpoints();
  if (endpoints === null) return;
  change(endpoints);
  writeEndpoints(endpoints);
}

/** What a command needs of a running platform; the environment goes before the file. Null where neither says. */
export interface Reach {
  gatewayUrl: string | null;
  token: string | null;
  natsUrl: string | null;
  databaseUrl: string | null;
  plant: { user: string; password: string };
}

export function reach(env: NodeJS.ProcessEnv = process.env): Reach {
  const found = readEndpoints();
  return {
    gatewayUrl: env["GATEWAY_URL"] ?? found?.gateway ?? null,
    token: env["API_TOKEN"] ?? found?.tokens.admin ?? null,
    natsUrl: env["NATS_URL"] ?? found?.nats ?? null,
    databaseUrl: env["DATABASE_URL"] ?? found?.postgres ?? null,
    plant: {
      user: env["NATS_USER"] ?? "plant",
      password: env["NATS_PASSWORD"] ?? found?.nats_users["plant"]?.password ?? "",
    },
  };
}

export const NOT_RUNNING =
  "The platform is not running here: start it with `npm start`, or say where it is by GATEWAY_URL and API_TOKEN, or NATS_URL.";
