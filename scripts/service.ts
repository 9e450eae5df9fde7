/** `npm run service -- anomaly`: one more replica of a service for the platform that runs here, in the foreground. */
import { SERVICE_USERS } from "@calibration/servers/nats-config.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { LOCAL, NOT_RUNNING, readEndpoints, ROOT } from "./local/endpoints.ts";

const [name] = process.argv.slice(2);
if (!SERVICE_USERS.some((known) => known === name)) {
  console.error(`npm run service -- NAME, where NAME is one of ${SERVICE_USERS.join(", ")}`);
  process.exit(2);
}
const endpoints = readEndpoints();
if (endpoints === null) {
  console.error(NOT_RUNNING);
  process.exit(1);
}
const secrets = JSON.parse(readFileSync(`${LOCAL}/secrets.json`, "utf8")) as Record<string, string>;
const child = spawn(process.execPath, [`services/${name}/src/main.ts`], {
  cwd: ROOT,
  stdio: ["pipe", "inherit", "inherit"],
  env: {
    PATH: process.env["PATH"] ?? "",
    STOP_WITH_PARENT: "1",
    NATS_URL: endpoints.nats,
    NATS_USER: name,
    NATS_PASSWORD: secrets[`nats_${name}`],
    DATABASE_URL: endpoints.postgres,
    ...(name === "gateway"
      ? { PORT: String((await freePort(8081)).port), BOOTSTRAP_TOKENS: JSON.stringify(endpoints.tokens) }
      : {}),
  },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
child.once("exit", (code) => process.exit(code ?? 1));
