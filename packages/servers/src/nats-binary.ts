/**
 * Finding nats-server without touching the machine: a path that was given, the PATH, the checkout's own copy, the
 * official release, the system's package manager (one file, its signature checked by apt).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";

export type Say = (text: string) => void;

/** READINGS is partitioned by a subject transform of the stream, which came with 2.10. */
const VERSION_MIN: readonly [number, number] = [2, 10];
const RELEASE = "2.12.3";
const RELEASE_MS_MAX = 60_000;
const CONNECT_MS_MAX = 20_000;

export async function findNatsServer(options: {
  localDirectory: string;
  say: Say;
  env?: NodeJS.ProcessEnv;
}): Promise<string> {
  const { localDirectory, say, env = process.env } = options;
  const own = join(localDirectory, "bin", "nats-server");
  const given = env["NATS_SERVER"];
  if (given !== undefined && given !== "" && isUsable(given, say)) return given;
  for (const directory of (env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(directory, "nats-server");
    if (directory !== "" && isExecutable(candidate) && isUsable(candidate, say)) return candidate;
  }
  if (isExecutable(own) && isUsable(own, say)) return own;
  mkdirSync(join(localDirectory, "bin"), { recursive: true });
  const tried: string[] = [];
  for (const [name, bring] of [
    ["the official release", bringRelease],
    ["Debian's package", bringDebianPackage],
  ] as const) {
    try {
      say(`looking for nats-server: ${name}`);
      await bring(own, localDirectory);
      if (isUsable(own, say)) return own;
    } catch (error) {
      tried.push(`${name}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  throw new Error(
    `nats-server was not found. Any one of these helps: set NATS_SERVER to its path; put nats-server ${VERSION_MIN.join(".")} or later on the PATH or at ${own} (https://nats.io/download); install it with the system's package manager; use Docker (docker compose up).\n  ${tried.join("\n  ")}`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isUsable(binary: string, say: Say): boolean {
  const asked = spawnSync(binary, ["--version"], { encoding: "utf8", timeout: CONNECT_MS_MAX });
  const match = /v(\d+)\.(\d+)\.\d+/.exec(asked.stdout ?? "");
  if (match === null) {
    say(`${binary} does not say its version; passed over`);
    return false;
  }
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const enough = major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
  if (!enough) say(`${binary} is ${major}.${minor}, older than ${VERSION_MIN.join(".")}; passed over`);
  return enough;
}

/** The system's own tools stand where they always do, also for somebody whose PATH is short. */
const systemTools = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: [process.env["PATH"], "/usr/sbin", "/usr/bin", "/sbin", "/bin"].filter(Boolean).join(delimiter),
});

/** The release's archive, checked against the SHA-256 list that is published with it. */
async function bringRelease(own: string, localDirectory: string): Promise<void> {
  const arch = process.arch === "arm64" ? "arm64" : "amd64";
  const archive = `nats-server-v${RELEASE}-${process.platform}-${arch}.tar.gz`;
  const base = `https://github.com/nats-io/nats-server/releases/download/v${RELEASE}`;
  const sums = await (await download(`${base}/SHA256SUMS`, CONNECT_MS_MAX)).text();
  const wanted = sums
    .split("\n")
    .find((line) => line.endsWith(archive))
    ?.split(/\s+/)[0];
  if (wanted === undefined) throw new Error(`no checksum for ${archive}`);
  const bytes = Buffer.from(await (await download(`${base}/${archive}`, RELEASE_MS_MAX)).arrayBuffer());
  if (createHash("sha256").update(bytes).digest("hex") !== wanted)
    throw new Error(`${archive} does not match its checksum`);
  const folder = join(localDirectory, "bin", "release");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, archive), bytes);
  execFileSync("tar", ["-xzf", archive, "--strip-components=1"], {
    cwd: folder,
    env: systemTools(),
    stdio: "ignore",
  });
  copyFileSync(join(folder, "nats-server"), own);
  chmodSync(own, 0o755);
  rmSync(folder, { recursive: true });
}

async function download(url: string, msMax: number): Promise<Response> {
  const response = await fetch(url, { signal: AbortSignal.timeout(msMax) }).catch((error: Error) => {
    throw new Error(
      `${new URL(url).host} cannot be reached (${(error.cause as Error | undefined)?.message ?? error.message})`,
    );
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response;
}

/**
 * apt with a state, a cache and a list of its own: nothing of the system changes and root is not needed. The mirror is
 * the machine's; the suites are the newer ones, for bookworm's nats-server is too old, and a Go binary needs no libraries.
 */
async function bringDebianPackage(own: string, localDirectory: string): Promise<void> {
  if (!existsSync("/etc/apt") || spawnSync("dpkg-deb", ["--version"], { env: systemTools() }).status !== 0)
    throw new Error("this is no Debian");
  const mirror = debianMirror();
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  if (!existsSync(keyring)) throw new Error("the Debian archive's keys are not installed");
  const apt = join(localDirectory, "apt");
  rmSync(apt, { recursive: true, force: true });
  for (const folder of ["state/lists/partial", "cache/archives/partial", "unpacked"])
    mkdirSync(join(apt, folder), { recursive: true });
  writeFileSync(
    join(apt, "sources.list"),
    ["sid", "trixie"].map((suite) => `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`).join(""),
  );
  // apt splits its options at nothing but takes a path with a space only in quotes of its own configuration.
  writeFileSync(
    join(apt, "apt.conf"),
    [
      `Dir::State "${join(apt, "state")}";`,
      `Dir::Cache "${join(apt, "cache")}";`,
      `Dir::Etc::sourcelist "${join(apt, "sources.list")}";`,
      `Dir::Etc::sourceparts "/dev/null";`,
      `Dir::State::status "/var/lib/dpkg/status";`,
      `APT::Sandbox::User "";`,
    ].join("\n"),
  );
  const env = { ...systemTools(), APT_CONFIG: join(apt, "apt.conf") };
  execFileSync("apt-get", ["update", "-qq"], { cwd: apt, env, stdio: ["ignore", "ignore", "pipe"] });
  execFileSync("apt-get", ["download", "-qq", "nats-server"], { cwd: apt, env, stdio: ["ignore", "ignore", "pipe"] });
  const deb = readdirSync(apt).find((name) => name.endsWith(".deb"));
  if (deb === undefined) throw new Error("apt brought no package");
  execFileSync("dpkg-deb", ["-x", deb, "unpacked"], { cwd: apt, env, stdio: "ignore" });
  const unpacked = ["usr/bin", "usr/sbin"]
    .map((folder) => join(apt, "unpacked", folder, "nats-server"))
    .find((path) => existsSync(path));
  if (unpacked === undefined) throw new Error("the package holds no nats-server");
  copyFileSync(unpacked, own);
  chmodSync(own, 0o755);
  rmSync(apt, { recursive: true, force: true });
}

/** The host the machine itself takes Debian from. */
function debianMirror(): string {
  const files = ["/etc/apt/sources.list"];
  if (existsSync("/etc/apt/sources.list.d")) {
    files.push(...readdirSync("/etc/apt/sources.list.d").map((name) => join("/etc/apt/sources.list.d", name)));
  }
  for (const file of files) {
    if (!existsSync(file)) continue;
    const lines = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => !line.trimStart().startsWith("#"));
    const found = /(https?:\/\/\S+?\/debian)\/?(?=\s|$)/m.exec(lines.join("\n"));
    if (found?.[1] !== undefined) return found[1];
  }
  throw new Error("apt's sources name no Debian mirror");
}
