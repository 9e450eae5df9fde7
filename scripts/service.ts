/** `npm run service -- anomaly`: one more replica of a service for the platform that runs here, in the foreground. */
import { databaseUrlOf } from "@calibration/servers/database-roles.ts";
import { SERVICE_USERS } from "@calibration/servers/nats-config.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { databasePasswordsOf, type PlatformSecrets } from "@calibration/servers/secrets.ts";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { changeEndpoints, LOCAL, NOT_RUNNING, readEndpoints, ROOT } from "./local/endpoints.ts";

/** Above those of the six that `npm start` starts. */
const METRICS_PORT_FIRST = 9110;
const GATEWAY_PORT_FIRST = 8081;

const name = SERVICE_USERS.find((known) => known === process.argv[2]);
if (name === undefined) {
  console.error(`npm run service -- NAME, where NAME is one of ${SERVICE_USERS.join(", ")}`);
  process.exit(2);
}
const endpoints = readEndpoints();
if (endpoints === null) {
  console.error(NOT_RUNNING);
  process.exit(1);
}
const secrets = JSON.parse(readFileSync(`${LOCAL}/secrets.json`, "utf8")) as PlatformSecrets;
const { port: metricsPort } = await freePort(METRICS_PORT_FIRST);
const metrics = `http://127.0.0.1:${metricsPort}/metrics`;
const child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
  cwd: ROOT,
  stdio: ["pipe", "inherit", "inherit"],
  env: {
    PATH: process.env["PATH"] ?? "",
    NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? `${ROOT}.local/compile-cache`,
    STOP_WITH_PARENT: "1",
    ...endpoints.settings,
    METRICS_PORT: String(metricsPort),
    NATS_URL: endpoints.nats,
    NATS_USER: name,
    NATS_PASSWORD: secrets[`nats_${name}`],
    DATABASE_URL: databaseUrlOf(name, endpoints.postgres, databasePasswordsOf(secrets)),
    ...(name === "gateway"
      ? { PORT: String((await freePort(GATEWAY_PORT_FIRST)).port), BOOTSTRAP_TOKENS: JSON.stringify(endpoints.tokens) }
      : {}),
  },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
const { pid } = child;
if (pid !== undefined) {
  changeEndpoints((shown) => {
    (shown.pids[name] ??= []).push(pid);
    (shown.metrics[name] ??= []).push(metrics);
  });
}
child.once("exit", (code) => {
  changeEndpoints((shown) => {
    shown.pids[name] = (shown.pids[name] ?? []).filter((other) => other !== pid);
    shown.metrics[name] = (shown.metrics[name] ?? []).filter((other) => other !== metrics);
  });
  process.exit(code ?? 1);
});
