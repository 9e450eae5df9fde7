/** `docker compose` as an operator types it, on a stack of its own beside whatever else runs on the machine. */
import { freePort } from "@calibration/servers/ports.ts";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Stack {
  gatewayPorts: string;
  natsUrl: string;
  /** Runs `docker compose ARGS…` and returns what it printed; throws with all of it where that fails. */
  compose(...args: string[]): Promise<string>;
  docker(...args: string[]): Promise<string>;
  /** The running containers of a service, oldest first. */
  containers(service: string): Promise<string[]>;
  /** The gateway's address: one of a range of ports, another after each re-creation. */
  gateway(): Promise<string>;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OWN_IMAGE = "calibration-platform:local";
/** Always the same, so that a run that was killed is tidied up by the next. */
const PROJECT = "calibration-deployment-test";
/** Ports on which nothing else is expected, below those that the kernel takes for outgoing connections. */
const GATEWAY_PORT_FIRST = 24_080;
const GATEWAY_PORTS = 4;
const NATS_PORT_FIRST = 24_222;
/** Builds the image on a starved machine. */
const COMMAND_MS_MAX = 30 * 60_000;

/** Where an image is absent: a registry that is reachable brings it in less. */
const PULL_MS_MAX = 5 * 60_000;

/** Why there can be no stack here; null where there can. What images are absent are brought, where there is a registry. */
export function noStack(): string | null {
  for (const [args, lacking] of [
    [["info"], "no Docker engine answers"],
    [["compose", "version"], "no docker compose"],
  ] as const) {
    const done = spawnSync("docker", args, { stdio: "ignore", timeout: 30_000 });
    if (done.status !== 0) return lacking;
  }
  const absent = imagesOfOthers().find((image) => !has(image));
  return absent === undefined ? null : `the image ${absent} is not there and cannot be had`;
}

/** Those of the compose file that are not built here, and those that ours is built on. */
function imagesOfOthers(): string[] {
  const started = spawnSync("docker", ["compose", "config", "--images"], { cwd: ROOT, encoding: "utf8" }).stdout;
  const bases = [...readFileSync(`${ROOT}Dockerfile`, "utf8").matchAll(/^FROM (\S+:\S+)/gm)].map(([, image]) => image!);
  return [...new Set([...started.split("\n").filter((image) => image !== "" && image !== OWN_IMAGE), ...bases])];
}

const has = (image: string): boolean =>
  spawnSync("docker", ["image", "inspect", image], { stdio: "ignore" }).status === 0 ||
  spawnSync("docker", ["pull", "--quiet", image], { stdio: "ignore", timeout: PULL_MS_MAX }).status === 0;

export async function createStack(): Promise<Stack> {
  const natsPort = (await freePort(NATS_PORT_FIRST)).port;
  const gatewayPorts = `${GATEWAY_PORT_FIRST}-${GATEWAY_PORT_FIRST + GATEWAY_PORTS - 1}`;
  const env = {
    ...process.env,
    COMPOSE_PROJECT_NAME: PROJECT,
    GATEWAY_PORTS: gatewayPorts,
    NATS_PORT: String(natsPort),
    COMPOSE_ANSI: "never",
  };
  const docker = (...args: string[]): Promise<string> => run("docker", args, env);
  const compose = (...args: string[]): Promise<string> => docker("compose", ...args);
  return {
    gatewayPorts,
    natsUrl: `nats://127.0.0.1:${natsPort}`,
    docker,
    compose,
    async containers(service) {
      return (await compose("ps", "--quiet", service)).split("\n").filter((id) => id !== "");
    },
    async gateway() {
      return `http://${(await compose("port", "gateway", "8080")).trim()}`;
    },
  };
}

async function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"], timeout: COMMAND_MS_MAX });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${String(code)}:\n${stdout}${stderr}`);
  return stdout;
}
