/**
 * The one door of every `npm run …`: brings what a bare machine lacks (Node 26, pnpm, the dependencies) into the
 * checkout, then hands over to the TypeScript that does the work. No dependencies of its own; any Node from 20 runs it.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_VERSION = "26.10.0";
const NODE_MAJOR_MIN = 24;
const PNPM_VERSION = "12.21.0";
const PARENT_LOOK_MS = 500;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const local = join(root, ".local");
const begun = performance.now();

/** Commands with a script of their own place; the rest live under `scripts/cli/`. */
const SCRIPTS = {
  start: "scripts/start.ts",
  service: "scripts/service.ts",
  test: "scripts/test.ts",
  "test:deployment": "scripts/test-deployment.ts",
  check: "scripts/check.ts",
  docs: "scripts/docs.ts",
  chaos: "scripts/chaos.ts",
  bench: "scripts/bench/main.ts",
  "bench:sync": "scripts/bench/sync.ts",
  "bench:models": "scripts/bench/models.ts",
  "plant-gateway": "examples/plant-gateway/main.ts",
  evaluate: "scripts/evaluate/main.ts",
};

function say(text) {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stderr.write(`[${seconds.padStart(6)} s] ${text}\n`);
}

function fail(text, code = 1) {
  process.stderr.write(`${text}\n`);
  process.exit(code);
}

/** `linux-x64` and the like, or one clear sentence. */
function platform() {
  const name = `${process.platform}-${process.arch}`;
  const musl = process.platform === "linux" && process.report?.getReport?.().header?.glibcVersionRuntime === undefined;
  if (musl || !["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"].includes(name)) {
    fail(
      `The platform runs on Linux (glibc; x64, arm64) and macOS, not on ${name}${musl ? " with musl" : ""}: use Docker (docker compose up), or WSL2 on Windows.`,
    );
  }
  return name;
}

/** npm hands its own settings down as environment variables; a package manager started here must not take them for its own. */
function cleanEnvironment() {
  const kept = ["npm_config_registry", "npm_config_cafile", "npm_config_userconfig", "npm_config_cache"];
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name) || kept.includes(name.toLowerCase())),
  );
}

/** Installs one npm package into a folder of `.local/`; what it prints is shown only if it fails. */
function installPackage(name, version, folder) {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, "package.json"))) writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const npm = process.env.npm_execpath?.endsWith("npm-cli.js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
  const [command, ...before] = npm;
  const args = [
    ...before,
    "install",
    "--prefix",
    folder,
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--ignore-scripts",
    "--loglevel=error",
    `${name}@${version}`,
  ];
  const done = spawnSync(command, args, { cwd: folder, env: cleanEnvironment(), encoding: "utf8" });
  if (done.status !== 0) {
    fail(
      `${name}@${version} could not be installed from the npm registry:\n${done.stderr || done.error?.message}\nThe first start needs the network; later ones do not.`,
    );
  }
}

function ensureNode() {
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) return process.execPath;
  const folder = join(local, "node");
  const binary = join(folder, "node_modules", `node-${platform()}`, "bin", "node");
  const stamp = join(folder, "version");
  if (!existsSync(binary) || read(stamp) !== NODE_VERSION) {
    say(`bringing Node ${NODE_VERSION} into .local/ (this machine's is ${process.versions.node})`);
    installPackage(`node-${platform()}`, NODE_VERSION, folder);
    writeFileSync(stamp, NODE_VERSION);
  }
  return binary;
}

function ensurePnpm() {
  const folder = join(local, "pnpm");
  const binary = join(folder, "node_modules", "@pnpm", `exe.${platform()}`, "pnpm");
  const stamp = join(folder, "version");
  if (!existsSync(binary) || read(stamp) !== PNPM_VERSION) {
    say(`bringing pnpm ${PNPM_VERSION} into .local/`);
    installPackage(`@pnpm/exe.${platform()}`, PNPM_VERSION, folder);
    writeFileSync(stamp, PNPM_VERSION);
  }
  return binary;
}

function read(file) {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

/** What the installed dependencies follow from; also the place they were installed at, for links are absolute. */
function wantedStamp() {
  const hash = createHash("sha256");
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"]) hash.update(read(join(root, file)));
  for (const group of ["packages", "services"]) {
    for (const name of readdirSync(join(root, group)).sort())
      hash.update(read(join(root, group, name, "package.json")));
  }
  for (const name of ["tests", "scripts"]) hash.update(read(join(root, name, "package.json")));
  return hash.update(root).update(PNPM_VERSION).digest("hex");
}

function ensureDependencies(node) {
  const modules = join(root, "node_modules");
  const stamp = join(modules, ".calibration-stamp");
  const wanted = wantedStamp();
  if (read(stamp) === wanted && existsSync(join(modules, ".modules.yaml"))) return;
  // A node_modules that npm made is no start for pnpm, and pnpm would ask before it removed it.
  if (existsSync(modules) && !existsSync(join(modules, ".modules.yaml")))
    rmSync(modules, { recursive: true, force: true });
  const pnpm = ensurePnpm();
  say("installing the dependencies");
  const environment = { ...cleanEnvironment(), CI: "true", PATH: `${dirname(node)}:${process.env.PATH ?? ""}` };
  const args = [
    "install",
    "--frozen-lockfile",
    `--store-dir=${join(local, "pnpm-store")}`,
    "--config.confirm-modules-purge=false",
    "--reporter=append-only",
  ];
  const done = spawnSync(pnpm, args, { cwd: root, env: environment, encoding: "utf8" });
  if (done.status !== 0)
    fail(`The dependencies could not be installed:\n${done.stdout}\n${done.stderr || done.error?.message}`);
  writeFileSync(stamp, wanted);
  say("dependencies installed");
}

const [command, ...args] = process.argv.slice(2);
const script =
  command === undefined
    ? undefined
    : (SCRIPTS[command] ?? (/^[a-z-]+$/.test(command) ? `scripts/cli/${command}.ts` : undefined));
if (script === undefined || !existsSync(join(root, script))) {
  fail(`usage: npm run <command>; there is no command ${JSON.stringify(command ?? "")}`, 2);
}
platform();
mkdirSync(local, { recursive: true });
const node = ensureNode();
ensureDependencies(node);

const child = spawn(node, ["--disable-warning=ExperimentalWarning", join(root, script), ...args], {
  stdio: "inherit",
  env: {
    ...cleanEnvironment(),
    PATH: `${dirname(node)}:${process.env.PATH ?? ""}`,
    // Types are stripped and modules compiled once, not in every process of every start.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(local, "compile-cache"),
    COMMAND_BEGUN_MS: String(Date.now() - Math.round(performance.now() - begun)),
  },
});
// A terminal sends its signals to the child as well; one from a supervisor reaches only us and is passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
// Whoever started us may be killed without a word to us: then another process is our parent.
const parent = process.ppid;
setInterval(() => process.ppid === parent || child.kill("SIGTERM"), PARENT_LOOK_MS).unref();
child.on("error", (error) => fail(`${node} could not be started: ${error.message}`));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
