import { defineConfig } from "vitest/config";
import { PatientSequencer } from "./tests/support/order.ts";

export default defineConfig({
  test: {
    sequence: { sequencer: PatientSequencer },
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "packages/*/src/**/*.test.ts",
            "services/*/src/**/*.test.ts",
            "scripts/**/*.test.ts",
            "tests/*.test.ts",
          ],
          // No test is timed: what these end is a hang, on the slowest machine that has to run them.
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: "platform",
          include: ["tests/journeys/**/*.test.ts", "tests/faults/**/*.test.ts", "tests/browser/**/*.test.ts"],
          globalSetup: ["tests/support/servers.ts"],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
        },
      },
      // By itself, with `npm run chaos -- --soak`: it takes as long as it is told to.
      {
        test: {
          name: "soak",
          include: ["tests/soak/**/*.test.ts"],
          globalSetup: ["tests/support/servers.ts"],
          hookTimeout: 600_000,
        },
      },
      // By itself, with `npm run test:deployment`: it builds an image.
      { test: { name: "deployment", include: ["tests/deployment/**/*.test.ts"] } },
    ],
  },
});
