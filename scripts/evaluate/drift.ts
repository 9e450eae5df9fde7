/** Skill against "as it is now" and coverage of the 90 % band, for the blend and for the original's regression. */
import {
  DRIFT_KINDS,
  DRIFT_WORLDS,
  runDrift,
  summariseDrift,
  type DriftWorld,
} from "@calibration/models/evaluation/drift.ts";

export function evaluateDrift(seed: number, count: number): void {
  for (const [name, world] of Object.entries(DRIFT_WORLDS)) evaluateWorld(name, world, seed, count);
}

function evaluateWorld(name: string, world: DriftWorld, seed: number, count: number): void {
  const { rhythm, noise } = world;
  const runs = DRIFT_KINDS.flatMap((kind) =>
    Array.from({ length: count }, (_, n) => ({ kind, errors: runDrift(kind, seed + n, world) })),
  );
  console.log(
    `${name} histories, a daily rhythm of ${rhythm.join(" to ")} % and noise of ${noise.join(" to ")} %: ${count} of each of ${DRIFT_KINDS.length} kinds, 30 days of hours, seeds from ${seed}: mean skill / coverage of the 90 % band, percent\n`,
  );
  for (const method of ["blend", "linear_regression", "reachable"] as const) {
    print(
      method,
      runs.map(({ kind, errors }) => ({ kind, errors: errors[method] })),
    );
  }
  console.log("(reachable: by whoever knew level, trend and rhythm of these histories, and only what is chance not)");
  console.log("\nthe blend, by kind");
  for (const kind of DRIFT_KINDS)
    print(
      kind,
      runs.filter((run) => run.kind === kind).map(({ errors }) => ({ kind, errors: errors.blend })),
    );
  console.log("");
}

function print(name: string, runs: Parameters<typeof summariseDrift>[0]): void {
  const cells = summariseDrift(runs).map(
    ({ horizon, skill, coverage }) =>
      `${horizon} h ${(100 * skill).toFixed(0).padStart(4)}${name === "reachable" ? "    " : `/${(100 * coverage).toFixed(0).padStart(3)}`}`,
  );
  console.log(`${name.padEnd(20)} ${cells.join("   ")}`);
}
