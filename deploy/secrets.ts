/**
 * The secrets of an installation of containers: made once at random, in a volume that only the one-shot sees. Each
 * container finds in a volume of its own what it needs, and nothing of the others'.
 */
import { natsConfig, SERVICE_USERS, type ServiceUser } from "@calibration/servers/nats-config.ts";
import { readPlantUsers } from "@calibration/servers/plant-users.ts";
import { keptSecrets, natsUsersOf, PLATFORM_SECRETS, type PlatformSecrets } from "@calibration/servers/secrets.ts";
import { chownSync, existsSync, readFileSync, writeFileSync } from "node:fs";

/** In the one-shot everything; in every other container the volume that was filled for it. */
const DIRECTORY = process.env["SECRETS_DIRECTORY"] ?? "/secrets";
/** Where the one-shot finds the volumes of the others, each by its container's name. */
const OTHERS = process.env["OTHERS_DIRECTORY"] ?? "/secrets-of";
const FILE = "secrets.json";
/** The user `node` of the image, which the services run as, and nats-server too. */
const SERVICE_UID = 1000;
/** The volume of nats-server, which is root's until somebody gives it away. */
const NATS_DIRECTORY = "/data";
const POSTGRES_DATABASE = "calibration";

type Name = keyof PlatformSecrets;
export type OwnSecrets = Partial<PlatformSecrets>;

const ownOf = (service: ServiceUser): Name[] => [`nats_${service}`, `postgres_${service}`];

/** What is whose. The gateway signs people in, and is where their commands run, so that it has what people have. */
const SECRETS_OF: Readonly<Record<string, readonly Name[]>> = {
  init: ["postgres", ...SERVICE_USERS.map((service) => `postgres_${service}` as const), "nats_admin"],
  ...Object.fromEntries(SERVICE_USERS.map((service) => [service, ownOf(service)])),
  gateway: [...ownOf("gateway"), "nats_plant", "nats_reader", "admin", "operator", "viewer", "plant"],
  demo: ["nats_plant", "admin"],
};

/** Makes what is missing, and hands it out in the forms that each reads. Run as root, before the others. */
export function makeSecrets(env: NodeJS.ProcessEnv): void {
  const secrets = keptSecrets(`${DIRECTORY}/${FILE}`, PLATFORM_SECRETS);
  chownSync(`${DIRECTORY}/${FILE}`, 0, 0);
  for (const [container, names] of Object.entries(SECRETS_OF))
    handOut(container, FILE, JSON.stringify(Object.fromEntries(names.map((name) => [name, secrets[name]])), null, 2));
  // Read by its entry point, as root.
  handOut("postgres", "postgres_password", secrets.postgres, 0);
  const plants = readPlantUsers(env["PLANT_USERS"]);
  handOut(
    "nats",
    "nats.conf",
    natsConfig({
      host: "0.0.0.0",
      port: 4222,
      monitorPort: 8222,
      storeDirectory: NATS_DIRECTORY,
      users: natsUsersOf(secrets),
      plants,
      syncAlways: env["NATS_SYNC"] === "always",
      ...(env["NATS_TLS_CERTIFICATE"]
        ? { tls: { certificate: env["NATS_TLS_CERTIFICATE"], key: env["NATS_TLS_KEY"] ?? "" } }
        : {}),
    }),
  );
  chownSync(NATS_DIRECTORY, SERVICE_UID, SERVICE_UID);
}

function handOut(container: string, file: string, text: string, uid = SERVICE_UID): void {
  const path = `${OTHERS}/${container}/${file}`;
  writeFileSync(path, text, { mode: 0o400 });
  chownSync(path, uid, uid);
}

/** What this container may know. */
export function readSecrets(): OwnSecrets {
  const path = `${DIRECTORY}/${FILE}`;
  if (!existsSync(path)) throw new Error(`${path} is missing: the one-shot "secrets" makes it`);
  return JSON.parse(readFileSync(path, "utf8")) as OwnSecrets;
}

/** @throws Error where this container does not know it: the command belongs in another one. */
export function secretOf(secrets: OwnSecrets, name: Name): string {
  const secret = secrets[name];
  if (secret === undefined) throw new Error(`this container does not know the secret ${name}; the gateway's does`);
  return secret;
}

/** What a service finds in its environment; what the operator set goes before it. */
export function environmentOf(secrets: OwnSecrets, env: NodeJS.ProcessEnv): Record<string, string> {
  const service = SERVICE_USERS.find((name) => secrets[`nats_${name}`] !== undefined);
  // As a service, or as the superuser who makes the services' roles; who knows neither has no business there.
  const user = service ?? "postgres";
  const password = service === undefined ? secrets.postgres : secrets[`postgres_${service}`];
  const { admin, operator, viewer, plant } = secrets;
  const defaults = {
    NATS_URL: "nats://nats:4222",
    NATS_USER: service ?? "admin",
    NATS_PASSWORD: secrets[`nats_${service ?? "admin"}`],
    DATABASE_URL: password && `postgres://${user}:${password}@postgres:5432/${POSTGRES_DATABASE}`,
    GATEWAY_URL: "http://gateway:8080",
    API_TOKEN: admin,
    BOOTSTRAP_TOKENS: admin && JSON.stringify({ admin, operator, viewer, plant }),
  };
  return Object.fromEntries(
    Object.entries(defaults).flatMap(([name, value]) => {
      const said = env[name] || value;
      return said === undefined ? [] : [[name, said]];
    }),
  );
}
