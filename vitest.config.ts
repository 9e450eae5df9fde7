import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "services/*/src/**/*.test.ts", "tests/tidy.test.ts"],
        },
      },
      {
        test: {
          name: "platform",
          include: ["tests/journeys/**/*.test.ts", "tests/faults/**/*.test.ts", "tests/browser/**/*.test.ts"],
          globalSetup: ["tests/support/servers.ts"],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
