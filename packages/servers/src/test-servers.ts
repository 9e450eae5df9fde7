/** The servers that tests run on: PostgreSQL once for all of them, nats-server for each plant, in directories that go with them. */
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findNatsServer, type Say } from "./nats-binary.ts";
import { USERS, type NatsUsers, type PlantUser } from "./nats-config.ts";
import { startNatsServer, type RunningNats } from "./nats-server.ts";
import { freePort, startOnFreePorts } from "./ports.ts";
import { startPostgres } from "./postgres.ts";

export interface TestDatabaseServer extends AsyncDisposable {
  kind: "given" | "embedded";
  databaseUrl: string;
  /** Where `openTestNats` finds its binary; null where NATS is given. */
  natsBinary: string | null;
}

export interface TestNats extends AsyncDisposable {
  url: string;
  /** Null where NATS is given: then nobody may stop it. */
  running: RunningNats | null;
  /** Empty passwords where the given server asks for none. */
  users: NatsUsers;
  /** Where it keeps its streams; empty where NATS is given. */
  directory: string;
  /** Starts the same server again, on the same port and data, after it was ended. */
  restart(): Promise<void>;
}

/** Below the range from which the kernel takes ports for outgoing connections. */
const PORT_FIRST = 12_000;
const PORTS = 18_000;
const somePort = async (): Promise<number> =>
  (await freePort(PORT_FIRST + (randomBytes(4).readUInt32BE() % PORTS))).port;

export async function openTestDatabaseServer(options: {
  localDirectory: string;
  say: Say;
  env?: NodeJS.ProcessEnv;
}): Promise<TestDatabaseServer> {
  const { localDirectory, say, env = process.env } = options;
  const given = env["TEST_DATABASE_URL"];
  if (given !== undefined && env["TEST_NATS_URL"] !== undefined) {
    say("servers: given by TEST_NATS_URL and TEST_DATABASE_URL");
    return { kind: "given", databaseUrl: given, natsBinary: null, [Symbol.asyncDispose]: async () => undefined };
  }
  const natsBinary = await findNatsServer({ localDirectory, say, env });
  const directory = ownDirectory(localDirectory);
  const password = randomBytes(16).toString("hex");
  const postgres = await startOnFreePorts(async () =>
    startPostgres({ directory, port: await somePort(), password, fsync: false }),
  );
  say("servers: embedded nats-server and PostgreSQL");
  return {
    kind: "embedded",
    databaseUrl: postgres.url,
    natsBinary,
    async [Symbol.asyncDispose]() {
      await postgres[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function openTestNats(options: {
  localDirectory: string;
  natsBinary: string | null;
  plants?: readonly PlantUser[];
  /** The directory of a server that has ended: the new one begins with a copy of its streams. */
  storeFrom?: string;
  env?: NodeJS.ProcessEnv;
}): Promise<TestNats> {
  const { localDirectory, natsBinary, plants = [], env = process.env } = options;
  if (natsBinary === null) {
    const users = Object.fromEntries(USERS.map((user) => [user, ""])) as NatsUsers;
    const restart = () => Promise.reject(new Error("a NATS server that was given is not ours to restart"));
    return {
      url: env["TEST_NATS_URL"]!,
      running: null,
      users,
      directory: "",
      restart,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  const directory = ownDirectory(localDirectory);
  if (options.storeFrom !== undefined)
    cpSync(join(options.storeFrom, "jetstream"), join(directory, "jetstream"), { recursive: true });
  const users = Object.fromEntries(USERS.map((user) => [user, randomBytes(16).toString("hex")])) as NatsUsers;
  let port = 0;
  let monitorPort = 0;
  const start = () => startNatsServer({ binary: natsBinary, directory, port, monitorPort, users, plants });
  const running = await startOnFreePorts(async () => {
    port = await somePort();
    monitorPort = await somePort();
    return start();
  });
  const nats: TestNats = {
    url: running.url,
    running,
    users,
    directory,
    async restart() {
      nats.running = await start();
    },
    async [Symbol.asyncDispose]() {
      await nats.running?.[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return nats;
}

function ownDirectory(localDirectory: string): string {
  const directory = join(localDirectory, "tests", randomBytes(4).toString("hex"));
  mkdirSync(directory, { recursive: true });
  return directory;
}
