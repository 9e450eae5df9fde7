import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SERVICE_USERS, USERS, type NatsUsers, type ServiceUser } from "./nats-config.ts";

/** What an installation makes up at random: a password for each user of NATS and of PostgreSQL, and the first tokens of REST. */
export const PLATFORM_SECRETS = [
  ...USERS.map((user) => `nats_${user}` as const),
  "postgres",
  ...SERVICE_USERS.map((user) => `postgres_${user}` as const),
  "admin",
  "operator",
  "viewer",
  "plant",
] as const;
export type PlatformSecrets = Record<(typeof PLATFORM_SECRETS)[number], string>;

/** Those of one kind, by user. */
export const natsUsersOf = (secrets: PlatformSecrets): NatsUsers =>
  Object.fromEntries(USERS.map((user) => [user, secrets[`nats_${user}`]])) as NatsUsers;
export const databasePasswordsOf = (
  secrets: Pick<PlatformSecrets, `postgres_${ServiceUser}`>,
): Record<ServiceUser, string> =>
  Object.fromEntries(SERVICE_USERS.map((user) => [user, secrets[`postgres_${user}`]])) as Record<ServiceUser, string>;

/** Random secrets under the given names, made once and kept in a file that only its owner can read. */
export function keptSecrets<N extends string>(file: string, names: readonly N[]): Record<N, string> {
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Partial<Record<string, string>>) : {};
  const secrets = Object.fromEntries(
    names.map((name) => [name, kept[name] ?? randomBytes(32).toString("base64url")]),
  ) as Record<N, string>;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ ...kept, ...secrets }, null, 2), { mode: 0o600 });
  return secrets;
}
