/**
 * Test servers in containers, of the images that docker-compose.yml names. What a run starts is removed when it ends,
 * however it ends: `container-guardian.ts` outlives it.
 */
import type { TestNats } from "@calibration/servers/test-servers.ts";
import { natsConfig, USERS, type NatsUsers, type PlantUser } from "@calibration/servers/nats-config.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { NatsContainer } from "@testcontainers/nats";
import { PostgreSqlContainer } from "@testcontainers/postgresql";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { getContainerRuntimeClient, ImageName, Wait, type ContainerRuntimeClient } from "testcontainers";
import { ownLabels } from "./container-labels.ts";

export interface ContainerServers extends AsyncDisposable {
  databaseUrl: string;
  natsImage: string;
  /** What its containers are known by: the worker processes start some of their own. */
  labels: Record<string, string>;
  engine: string;
}

// Testcontainers' own clean-up is one more image, which has to come from a registry; the guardian needs none.
process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";

/** An engine that is there answers in milliseconds; one that hangs must not hold up a run. */
const ANSWER_MS_MAX = 20_000;
/** Where an image is absent: a registry that is reachable brings both in less. */
const PULL_MS_MAX = 90_000;
const START_MS_MAX = 180_000;
const REACH_MS_MAX = 30_000;
const LOOK_MS = 200;
const SWEEP_MS_MAX = 60_000;
const NATS_PORT = 4222;
const NATS_CONFIG = "/etc/calibration-nats.conf";
const DATABASE = "calibration";
/** Below the range from which the kernel takes ports for outgoing connections. */
const PORT_FIRST = 12_000;
const PORTS = 18_000;
const STARTS_MAX = 3;

/** PostgreSQL in a container, and all that it takes to start NATS in others. Throws where that cannot be had, with the reason. */
export async function openContainers(): Promise<ContainerServers> {
  const client = await within(ANSWER_MS_MAX, getContainerRuntimeClient(), "the Docker engine does not answer");
  const images = composeImages();
  for (const image of [images.postgres, images.nats]) await ensureImage(client, image);
  await using stack = new AsyncDisposableStack();
  const labels = ownLabels();
  stack.use(guardContainers(labels));
  const password = randomBytes(16).toString("hex");
  const container = await new LocalPostgres(images.postgres)
    .withDatabase(DATABASE)
    .withUsername("postgres")
    .withPassword(password)
    .withLabels(labels)
    // Tests may live without: nothing of theirs need survive a power cut.
    .withCommand(["postgres", ...flags({ fsync: "off", full_page_writes: "off", max_connections: "200" })])
    .withSharedMemorySize(256 * 1024 * 1024)
    // The first is that of the server which the image's entry point runs for itself.
    .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
    .withStartupTimeout(START_MS_MAX)
    .start();
  const databaseUrl = `postgres://postgres:${password}@${hostOf(container)}:${container.getPort()}/${DATABASE}`;
  await untilReachable(databaseUrl);
  const opened = stack.move();
  return {
    databaseUrl,
    natsImage: images.nats,
    labels,
    engine: `${images.nats} and ${images.postgres} on engine ${client.info.containerRuntime.serverVersion}`,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** NATS in a container of its own, with the accounts and users of every other. */
export async function openNatsContainer(options: {
  image: string;
  labels: Record<string, string>;
  plants?: readonly PlantUser[];
}): Promise<TestNats> {
  const users = Object.fromEntries(USERS.map((user) => [user, randomBytes(16).toString("hex")])) as NatsUsers;
  const content = natsConfig({
    host: "0.0.0.0",
    port: NATS_PORT,
    monitorPort: 8222,
    storeDirectory: "/data",
    users,
    ...(options.plants === undefined ? {} : { plants: options.plants }),
  });
  const start = async () => {
    // Restarted, it has to be where its clients look for it; a port of the engine's choice would be another one.
    const { port } = await freePort(PORT_FIRST + (randomBytes(4).readUInt32BE() % PORTS));
    return new ConfiguredNats(options.image)
      .withExposedPorts({ container: NATS_PORT, host: port })
      .withCopyContentToContainer([{ content, target: NATS_CONFIG }])
      .withLabels(options.labels)
      .withStartupTimeout(START_MS_MAX)
      .start();
  };
  const container = await repeated(start);
  return {
    url: `nats://${hostOf(container)}:${container.getMappedPort(NATS_PORT)}`,
    running: null,
    users,
    directory: "",
    restart: () => container.restart(),
    async [Symbol.asyncDispose]() {
      await container.stop();
    },
  };
}

/** nats-server with our configuration alone: `--user` and `--pass`, which the container adds, would shut out its accounts. */
class ConfiguredNats extends NatsContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    this.withCommand(["--config", NATS_CONFIG]);
    await onLoopback(this.hostConfig);
  }
}

class LocalPostgres extends PostgreSqlContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    // Looked at four times a second for the whole run, it would cost more than some tests.
    this.createOpts.Healthcheck = { Test: ["NONE"] };
    await onLoopback(this.hostConfig);
  }
}

/** Ports of an engine on this machine are for this machine. */
async function onLoopback(host: { PortBindings?: unknown }): Promise<void> {
  const { info } = await getContainerRuntimeClient();
  if (info.containerRuntime.host !== "localhost") return;
  for (const bindings of Object.values((host.PortBindings ?? {}) as Record<string, { HostIp?: string }[]>))
    for (const binding of bindings) binding.HostIp = "127.0.0.1";
}

/** Node may take `localhost` for an address that the port is not bound to. */
const hostOf = (container: { getHost(): string }): string =>
  container.getHost() === "localhost" ? "127.0.0.1" : container.getHost();

const flags = (settings: Record<string, string>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);

/** The images and tags of the compose file: what is tested on is what is run. */
export function composeImages(): { nats: string; postgres: string } {
  const text = readFileSync(new URL("../../docker-compose.yml", import.meta.url), "utf8");
  const image = (name: string): string => {
    const found = new RegExp(`^\\s*image: (${name}:\\S+)$`, "m").exec(text)?.[1];
    if (found === undefined) throw new Error(`docker-compose.yml names no image of ${name}`);
    return found;
  };
  return { nats: image("nats"), postgres: image("postgres") };
}

/** Ready inside is not yet reachable from here: an engine may run without being able to publish a port. */
async function untilReachable(databaseUrl: string): Promise<void> {
  const deadline = performance.now() + REACH_MS_MAX;
  for (;;) {
    const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: REACH_MS_MAX });
    try {
      await client.connect();
      return;
    } catch (cause) {
      if (performance.now() > deadline) throw new Error("the port of a container is not reachable", { cause });
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

async function ensureImage(client: ContainerRuntimeClient, image: string): Promise<void> {
  const name = ImageName.fromString(image);
  const has = await within(ANSWER_MS_MAX, client.image.exists(name), "the Docker engine does not answer");
  if (has) return;
  const trouble = `the image ${image} is not there and cannot be had`;
  const pulled = client.image.pull(name, { force: false, platform: undefined });
  await within(PULL_MS_MAX, pulled, trouble).catch((cause: unknown) => {
    throw new Error(trouble, { cause });
  });
}

/** Another program may take the port between our look and the engine's. */
async function repeated<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === STARTS_MAX || !/port is already allocated|address already in use/i.test(String(error)))
        throw error;
    }
  }
}

/** A process that removes the containers of these labels when we close its input, or are no more. */
function guardContainers(labels: Record<string, string>): AsyncDisposable {
  const guardian = spawn(
    process.execPath,
    [fileURLToPath(new URL("container-guardian.ts", import.meta.url)), JSON.stringify(labels)],
    // Whoever ends a run with a signal to its process group does not end this one.
    { stdio: ["pipe", "ignore", "inherit"], detached: true },
  );
  guardian.unref();
  return {
    async [Symbol.asyncDispose]() {
      const gone = once(guardian, "exit");
      if (guardian.exitCode !== null) return;
      guardian.stdin.end();
      await within(SWEEP_MS_MAX, gone, "the containers could not be removed").catch(console.error);
    },
  };
}

async function within<T>(ms: number, work: Promise<T>, trouble: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = setTimeout(() => reject(new Error(trouble)), ms);
  return Promise.race([work, promise]).finally(() => clearTimeout(late));
}
