/** `npm test` has to end also on a starved machine: what repeats or deepens another test is left out when time runs short. */
import { inject, type TestContext } from "vitest";

/** On two ordinary cores the whole run takes minutes; after this long it does only what nothing else covers. */
const SPARE_MINUTES_MAX = 35;

/** Skips the test, saying why, where the run has already taken so long that it could be cut off before its end. */
export function needsSpareTime(context: TestContext, minutesMax = SPARE_MINUTES_MAX): void {
  const minutes = Math.round((Date.now() - inject("begunMs")) / 60_000);
  context.skip(minutes > minutesMax, `the run has taken ${minutes} minutes on this machine already`);
}
