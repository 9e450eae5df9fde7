/** The secrets of an installation of containers: made once at random, in a volume that only containers see. */
import { natsConfig, SERVICE_USERS, USERS, type NatsUsers, type PlantUser } from "@calibration/servers/nats-config.ts";
import { keptSecrets } from "@calibration/servers/secrets.ts";
import { chownSync, existsSync, readFileSync, writeFileSync } from "node:fs";

export const DIRECTORY = process.env["SECRETS_DIRECTORY"] ?? "/secrets";
const FILE = `${DIRECTORY}/secrets.json`;
/** The user `node` of the image, which the services run as, and nats-server too. */
const SERVICE_UID = 1000;
/** The volume of nats-server, which is root's until somebody gives it away. */
const NATS_DIRECTORY = "/data";
const POSTGRES_DATABASE = "calibration";

export type Secrets = Record<
  `nats_${(typeof USERS)[number]}` | "postgres" | "admin" | "operator" | "viewer" | "plant",
  string
>;

/** Makes what is missing, and writes it in the forms that NATS and PostgreSQL read. Run as root, before them. */
export function makeSecrets(env: NodeJS.ProcessEnv): void {
  const secrets: Secrets = keptSecrets(FILE, [
    ...USERS.map((user) => `nats_${user}` as const),
    "postgres",
    "admin",
    "operator",
    "viewer",
    "plant",
  ]);
  writeFileSync(`${DIRECTORY}/postgres_password`, secrets.postgres, { mode: 0o600 });
  // Plant gateways fenced to a site: PLANT_USERS='[{"user": "north", "password": "…", "site": "north"}]'.
  const plants = JSON.parse(env["PLANT_USERS"] || "[]") as PlantUser[];
  const users = Object.fromEntries(USERS.map((user) => [user, secrets[`nats_${user}`]])) as NatsUsers;
  writeFileSync(
    `${DIRECTORY}/nats.conf`,
    natsConfig({
      host: "0.0.0.0",
      port: 4222,
      monitorPort: 8222,
      storeDirectory: NATS_DIRECTORY,
      users,
      plants,
      syncAlways: env["NATS_SYNC"] === "always",
      ...(env["NATS_TLS_CERTIFICATE"]
        ? { tls: { certificate: env["NATS_TLS_CERTIFICATE"], key: env["NATS_TLS_KEY"] ?? "" } }
        : {}),
    }),
    { mode: 0o600 },
  );
  for (const path of [FILE, `${DIRECTORY}/nats.conf`, NATS_DIRECTORY]) chownSync(path, SERVICE_UID, SERVICE_UID);
}

export function readSecrets(): Secrets {
  if (!existsSync(FILE)) throw new Error(`${FILE} is missing: the one-shot "secrets" makes it`);
  return JSON.parse(readFileSync(FILE, "utf8")) as Secrets;
}

/** What a service finds in its environment; what the operator set goes before it. */
export function environmentOf(name: string, secrets: Secrets, env: NodeJS.ProcessEnv): Record<string, string> {
  const user = SERVICE_USERS.find((known) => known === name) ?? "admin";
  const defaults = {
    NATS_URL: "nats://nats:4222",
    NATS_USER: user,
    NATS_PASSWORD: secrets[`nats_${user}`],
    DATABASE_URL: `postgres://postgres:${secrets.postgres}@postgres:5432/${POSTGRES_DATABASE}`,
    GATEWAY_URL: "http://gateway:8080",
    API_TOKEN: secrets.admin,
    BOOTSTRAP_TOKENS: JSON.stringify({
      admin: secrets.admin,
      operator: secrets.operator,
      viewer: secrets.viewer,
      plant: secrets.plant,
    }),
  };
  return Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, env[key] || value]));
}
