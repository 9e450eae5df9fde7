/** `npm run check`: format, lint, types, dead code, unit tests and tidy, in seconds; what `npm test` leaves to the eye. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const steps: [name: string, command: string, ...args: string[]][] = [
  ["format", "oxfmt", "--check", "."],
  ["lint", "oxlint", "--type-aware", "--deny-warnings"],
  ["types", "tsc", "--noEmit"],
  ["dead code", "knip", "--no-config-hints"],
  ["types of the dashboard", "tsc", "--noEmit", "-p", "packages/dashboard"],
  ["unit tests", "vitest", "run", "--project", "unit", "--reporter", "dot"],
];

for (const [name, command, ...args] of steps) {
  const begun = performance.now();
  const done = spawnSync(`${root}node_modules/.bin/${command}`, args, { cwd: root, encoding: "utf8" });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${done.status === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (done.status !== 0) {
    console.log(`${done.stdout}${done.stderr}`);
    process.exit(1);
  }
}
