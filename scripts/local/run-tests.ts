/** Runs tests, and ends the process with one plain closing line that says how many passed, failed and were skipped. */
import { startVitest } from "vitest/node";

export async function runTests(projects: string[]): Promise<never> {
  const filters = process.argv.slice(2);
  const vitest = await startVitest("test", filters, {
    run: true,
    watch: false,
    reporters: ["default"],
    project: projects,
  });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of vitest.state.getTestModules()) {
    // A file that could not be loaded has no tests to fail, but it did not pass either.
    if (file.errors().length > 0) counts.failed++;
    for (const test of file.children.allTests()) {
      const { state } = test.result();
      counts[state === "passed" || state === "failed" ? state : "skipped"]++;
    }
  }
  counts.failed += vitest.state.getUnhandledErrors().length;
  await vitest.close();
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exit(counts.failed === 0 && counts.passed + counts.skipped > 0 ? 0 : 1);
}
