/** Prometheus itself, where the machine has one, with the provisioned alerts and targets that a test names. */
import { freePort } from "@calibration/servers/ports.ts";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

export interface Prometheus extends AsyncDisposable {
  /** What an expression comes to now: a value for each series. */
  ask(expression: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
  rules(): Promise<{ name: string; health: string; lastError?: string }[]>;
}

const ALERTS = fileURLToPath(new URL("../../deploy/observability/alerts.yml", import.meta.url));
const PORT_FIRST = 12_000;
const PORTS = 18_000;

export const hasPrometheus = (): boolean =>
  spawnSync("prometheus", ["--version"], { stdio: "ignore", timeout: 30_000 }).status === 0;

/** `targets` by service, `host:port`. Asked each second, so that there are rates before long. */
export async function openPrometheus(targets: Readonly<Record<string, string>>): Promise<Prometheus> {
  const directory = join(inject("localDirectory"), "tests", randomBytes(4).toString("hex"));
  mkdirSync(directory, { recursive: true });
  const { port } = await freePort(PORT_FIRST + (randomBytes(4).readUInt32BE() % PORTS));
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "1s" },
    rule_files: [ALERTS],
    scrape_configs: [
      {
        job_name: "calibration",
        honor_labels: true,
        static_configs: Object.entries(targets).map(([service, target]) => ({
          targets: [target],
          labels: { service },
        })),
      },
    ],
  };
  // JSON is YAML.
  writeFileSync(join(directory, "prometheus.yml"), JSON.stringify(config));
  const child = spawn(
    "prometheus",
    [
      `--config.file=${join(directory, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: "ignore" },
  );
  const gone = once(child, "exit");
  const get = async <T>(path: string): Promise<T> =>
    ((await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()) as { data: T }).data;
  return {
    async ask(expression) {
      type Answer = { result: { metric: Record<string, string>; value: [number, string] }[] };
      return (await get<Answer>(`query?query=${encodeURIComponent(expression)}`)).result;
    },
    async rules() {
      const { groups } = await get<{ groups: { rules: { name: string; health: string }[] }[] }>("rules");
      return groups.flatMap(({ rules }) => rules);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
