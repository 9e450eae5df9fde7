/** What a container does: a service, a one-shot, or a command, by its first argument. */
import { SERVICE_USERS } from "@calibration/servers/nats-config.ts";
import { databasePasswordsOf, type PlatformSecrets } from "@calibration/servers/secrets.ts";
import { environmentOf, makeSecrets, readSecrets, secretOf } from "./secrets.ts";

const COMMANDS = ["train-models", "auto-train-models", "publish-reading", "import-readings", "tokens"];
const [, , name = "", ...rest] = process.argv;
/** A database of the operator's own, where one user may be everybody. */
const { DATABASE_URL: givenDatabase } = process.env;

if (name === "secrets") {
  makeSecrets(process.env);
  console.log("the secrets are there");
} else if (name === "sign-in") {
  const response = await fetch("http://127.0.0.1:8080/api/session/codes/", {
    method: "POST",
    headers: { authorization: `Bearer ${secretOf(readSecrets(), "admin")}` },
  });
  if (!response.ok) throw new Error(`the gateway answers ${response.status}: ${await response.text()}`);
  const { code } = (await response.json()) as { code: string };
  const ports = process.env["GATEWAY_PORTS"] || "8080";
  const { PUBLIC_URL: address } = process.env;
  console.log(`${address || `http://127.0.0.1:${ports.split("-")[0]!}`}/?code=${code}`);
  // A container does not know under which port of a range it is reached; its code is good at every gateway.
  if (!address && ports.includes("-"))
    console.error(`or another port of ${ports}: docker compose port gateway 8080 names one`);
} else {
  Object.assign(process.env, environmentOf(readSecrets(), process.env));
  // The commands read their arguments where a program's are.
  process.argv.splice(2, process.argv.length, ...rest);
  if (name === "init") {
    await migrate();
    console.log("the tables are there");
    const { ensureStreams, openBus } = await import("@calibration/shared/bus.ts");
    const { commonKnobs, readKnobs } = await import("@calibration/shared/config.ts");
    const config = readKnobs(commonKnobs, process.env);
    await using bus = await openBus({ ...config, name });
    await ensureStreams(bus, { partitions: config.partitions });
    console.log("the streams are there");
  } else if (name === "demo") {
    await import("./demo.ts");
  } else if (SERVICE_USERS.some((known) => known === name)) {
    await import(`../services/${name}/src/main.ts`);
  } else if (COMMANDS.includes(name)) {
    if (name === "tokens" || name === "import-readings") secretOf(readSecrets(), "admin");
    if (name === "publish-reading" || name === "import-readings")
      Object.assign(process.env, { NATS_USER: "plant", NATS_PASSWORD: secretOf(readSecrets(), "nats_plant") });
    await import(`../scripts/cli/${name}.ts`);
  } else {
    console.error(
      `what should this container be? One of ${[...SERVICE_USERS, "secrets", "init", "demo", "sign-in", ...COMMANDS].join(", ")}`,
    );
    process.exitCode = 2;
  }
}

async function migrate(): Promise<void> {
  if (givenDatabase) {
    const { migrateDatabase } = await import("@calibration/shared/migrate.ts");
    await migrateDatabase(givenDatabase);
    return;
  }
  const { prepareDatabase } = await import("@calibration/servers/database-roles.ts");
  await prepareDatabase(process.env["DATABASE_URL"]!, databasePasswordsOf(readSecrets() as PlatformSecrets));
}
