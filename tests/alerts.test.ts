/** The alerts by themselves: each is shown to fire, and shown not to where it must not, by Prometheus's own tool. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const OBSERVABILITY = new URL("../deploy/observability/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, OBSERVABILITY), "utf8");
const promtool = (...args: string[]) =>
  spawnSync("promtool", args, { cwd: OBSERVABILITY, encoding: "utf8", timeout: 60_000 });
const hasPromtool = promtool("--version").status === 0;

it("every alert has a story in which it fires, and one in which it does not", () => {
  const alerts = [...read("alerts.yml").matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
  const stories = [...read("alerts.test.yml").matchAll(/alertname: (\w+)(, exp_alerts: \[\])?/g)];
  const told = (silent: boolean) =>
    new Set(stories.filter(([, , none]) => (none !== undefined) === silent).map(([, name]) => name!));
  expect(told(false)).toEqual(new Set(alerts));
  expect(told(true)).toEqual(new Set(alerts));
});

it("the alerts fire in those stories, as promtool plays them", (context) => {
  context.skip(!hasPromtool, "no promtool on the PATH");
  const { status, stdout, stderr } = promtool("test", "rules", "alerts.test.yml");
  expect({ status, said: status === 0 ? "" : stdout + stderr }).toEqual({ status: 0, said: "" });
});

it("Prometheus can read its configuration", (context) => {
  context.skip(!hasPromtool, "no promtool on the PATH");
  const { status, stdout, stderr } = promtool("check", "config", "prometheus.yml");
  expect({ status, said: status === 0 ? "" : stdout + stderr }).toEqual({ status: 0, said: "" });
});
