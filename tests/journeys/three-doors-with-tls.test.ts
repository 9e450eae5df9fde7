/**
 *   a certificate made here ──▶ NATS, PostgreSQL and HTTP, each by configuration
 *   a reading goes in by HTTPS and comes to PostgreSQL with every line encrypted; nobody gets in without, or trusts a stranger
 */
import { findNatsServer } from "@calibration/servers/nats-binary.ts";
import { USERS, type NatsUsers } from "@calibration/servers/nats-config.ts";
import { startNatsServer } from "@calibration/servers/nats-server.ts";
import { startOnFreePorts } from "@calibration/servers/ports.ts";
import { startPostgres } from "@calibration/servers/postgres.ts";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "selfsigned";
import { expect, inject, it } from "vitest";
import { somePort } from "../support/chaos/arena.ts";
import { WAIT_MS } from "../support/plant.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPT_MS_MAX = 120_000;

it("with certificates, all three doors speak TLS and nothing else", async () => {
  await using stack = new AsyncDisposableStack();
  const directory = join(inject("localDirectory"), "tests", randomBytes(4).toString("hex"));
  mkdirSync(directory, { recursive: true });
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const ours = await certificate(directory, "ours");
  const stranger = await certificate(directory, "stranger");
  const tls = { certificate: ours.certificate, key: ours.key };

  const users = Object.fromEntries(USERS.map((user) => [user, randomBytes(16).toString("hex")])) as NatsUsers;
  const natsBinary =
    inject("natsBinary") ?? (await findNatsServer({ localDirectory: inject("localDirectory"), say: () => undefined }));
  const nats = stack.use(
    await startOnFreePorts(async () =>
      startNatsServer({
        binary: natsBinary,
        directory: join(directory, "nats"),
        port: await somePort(),
        monitorPort: await somePort(),
        users,
        tls,
      }),
    ),
  );
  const password = randomBytes(16).toString("hex");
  const postgres = stack.use(
    await startOnFreePorts(async () =>
      startPostgres({ directory: join(directory, "postgres"), port: await somePort(), password, tls }),
    ),
  );
  const token = randomBytes(16).toString("hex");
  const env = {
    PATH: process.env["PATH"] ?? "",
    // Node's own knob for an authority that is nobody's but ours: its TLS everywhere heeds it.
    NODE_EXTRA_CA_CERTS: ours.certificate,
    NATS_URL: nats.url,
    DATABASE_URL: postgres.url,
    STOP_WITH_PARENT: "1",
  };
  expect(nats.url).toMatch(/^tls:/);

  await runScript(
    `const { migrateDatabase } = await import("@calibration/shared/migrate.ts");
     const { openBus, ensureStreams } = await import("@calibration/shared/bus.ts");
     await migrateDatabase(process.env.DATABASE_URL);
     await using bus = await openBus({ natsUrl: process.env.NATS_URL, natsUser: "admin", natsPassword: process.env.ADMIN, name: "init" });
     await ensureStreams(bus, { partitions: 2 });`,
    { ...env, ADMIN: users.admin },
  );
  const start = async (name: "ingest" | "gateway", more: Record<string, string>): Promise<() => string> => {
    const child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...env, NATS_USER: name, NATS_PASSWORD: users[name], ...more },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    stack.defer(async () => {
      const gone = once(child, "exit");
      if (child.exitCode === null && child.kill()) await gone;
    });
    await expect.poll(() => output, { timeout: WAIT_MS, interval: 50 }).toContain('"message":"ready"');
    return () => output;
  };
  await start("ingest", {});
  const output = await start("gateway", {
    PORT: "0",
    BOOTSTRAP_TOKENS: JSON.stringify({ admin: token }),
    TLS_CERTIFICATE: ours.certificate,
    TLS_KEY: ours.key,
  });
  const url = /"listens":"([^"]+)"/.exec(output())![1]!;
  expect(url).toMatch(/^https:/);

  // A reading, all the way: a client that trusts our authority, by HTTPS, NATS and PostgreSQL.
  const asked = await runScript(
    `const headers = { authorization: "Bearer " + process.env.TOKEN, "content-type": "application/json" };
     const ask = (method, path, body) => fetch(process.env.GATEWAY + path, { method, headers, body: body && JSON.stringify(body) });
     await ask("POST", "/api/sensors/", { id: 5, name: "Boiler", type: "Temperature" });
     const posted = await ask("POST", "/api/readings/", { sensor_id: 5, raw_value: 21, timestamp: "2026-01-01T00:00:00Z" });
     const { default: pg } = await import("pg");
     const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
     await client.connect();
     let rows = [];
     for (let n = 0; n < 600 && rows.length === 0; n++) {
       rows = (await client.query("select raw_value from readings where sensor_id = 5")).rows;
       await new Promise((resolve) => setTimeout(resolve, 100));
     }
     const { rows: plain } = await client.query("select 1 from pg_stat_ssl s join pg_stat_activity a using (pid) where a.backend_type = 'client backend' and not s.ssl");
     await client.end();
     console.log(JSON.stringify({ status: posted.status, hsts: posted.headers.has("strict-transport-security"), rows, plain }));`,
    { ...env, TOKEN: token, GATEWAY: url },
  );
  expect(JSON.parse(asked)).toEqual({ status: 202, hsts: true, rows: [{ raw_value: 21 }], plain: [] });

  const plainHttp = await fetch(`${url.replace("https:", "http:")}/healthz`).catch((error: unknown) => error);
  expect(plainHttp).toBeInstanceOf(Error);
  // Without TLS, and with trust in somebody else: refused at every door.
  const refused = `
    const { default: pg } = await import("pg");
    const { connect } = await import("@nats-io/transport-node");
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
    const tries = {
      postgres: () => client.connect(),
      nats: () => connect({ servers: process.env.NATS_URL, user: "admin", pass: process.env.ADMIN, reconnect: false, timeout: 20_000, ...JSON.parse(process.env.OPTIONS) }),
      http: () => fetch(process.env.GATEWAY + "/healthz"),
    };
    const came = {};
    for (const [door, enter] of Object.entries(tries)) came[door] = await enter().then(() => "let in", () => "refused");
    console.log(JSON.stringify(came));
    process.exit(0);`;
  const asStranger = {
    ...env,
    NODE_EXTRA_CA_CERTS: stranger.certificate,
    ADMIN: users.admin,
    GATEWAY: url,
    OPTIONS: '{"tls": {}}',
  };
  expect(JSON.parse(await runScript(refused, asStranger))).toEqual({
    postgres: "refused",
    nats: "refused",
    http: "refused",
  });
  const withoutTls = {
    ...asStranger,
    DATABASE_URL: postgres.url.replace("verify-full", "disable"),
    GATEWAY: url.replace("https:", "http:"),
  };
  expect(JSON.parse(await runScript(refused, withoutTls))).toMatchObject({ postgres: "refused", http: "refused" });
});

/** For this machine's loopback interface, its own authority. */
async function certificate(directory: string, name: string): Promise<{ certificate: string; key: string }> {
  const made = await generate([{ name: "commonName", value: "localhost" }], {
    keySize: 2048,
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  const files = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  writeFileSync(files.certificate, made.cert);
  writeFileSync(files.key, made.private, { mode: 0o600 });
  return files;
}

/** What the script printed. It is a process of its own because whom Node trusts is settled when it starts. */
async function runScript(source: string, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    // Where both clients and our own packages are found by their names.
    cwd: `${ROOT}packages/shared`,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: SCRIPT_MS_MAX,
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the script ended with ${code}:\n${errors}`);
  return output;
}
