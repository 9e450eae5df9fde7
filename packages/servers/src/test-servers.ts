/** The servers that tests run on: those that are given, else embedded ones in a directory that goes with them. */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findNatsServer, type Say } from "./nats-binary.ts";
import { USERS, type NatsUsers } from "./nats-config.ts";
import { startNatsServer } from "./nats-server.ts";
import { freePort } from "./ports.ts";
import { startPostgres } from "./postgres.ts";

export interface TestServers extends AsyncDisposable {
  kind: "given" | "embedded";
  natsUrl: string;
  /** Empty passwords where the given server asks for none. */
  users: NatsUsers;
  databaseUrl: string;
}

/** Below the range from which the kernel takes ports for outgoing connections. */
const PORT_FIRST = 15_000;
const PORTS = 10_000;

export async function openTestServers(options: { localDirectory: string; say: Say; env?: NodeJS.ProcessEnv }): Promise<TestServers> {
  const { localDirectory, say, env = process.env } = options;
  const natsUrl = env["TEST_NATS_URL"];
  const databaseUrl = env["TEST_DATABASE_URL"];
  if (natsUrl !== undefined && databaseUrl !== undefined) {
    say(`servers: given (${natsUrl})`);
    const users = Object.fromEntries(USERS.map((user) => [user, ""])) as NatsUsers;
    return { kind: "given", natsUrl, users, databaseUrl, [Symbol.asyncDispose]: async () => undefined };
  }
  const name = randomBytes(4).toString("hex");
  const directory = join(localDirectory, "tests", name);
  mkdirSync(directory, { recursive: true });
  const users = Object.fromEntries(USERS.map((user) => [user, randomBytes(16).toString("hex")])) as NatsUsers;
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const from = PORT_FIRST + (randomBytes(2).readUInt16BE() % PORTS);
  const natsPort = (await freePort(from)).port;
  const monitorPort = (await freePort(natsPort + 1)).port;
  const databasePort = (await freePort(monitorPort + 1)).port;
  const binary = await findNatsServer({ localDirectory, say, env });
  const nats = stack.use(await startNatsServer({ binary, directory: join(directory, "nats"), port: natsPort, monitorPort, users }));
  const postgres = stack.use(
    await startPostgres({ directory: join(directory, "postgres"), port: databasePort, password: randomBytes(16).toString("hex"), fsync: false }),
  );
  say("servers: embedded nats-server and PostgreSQL");
  const opened = stack.move();
  return { kind: "embedded", natsUrl: nats.url, users, databaseUrl: postgres.url, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
