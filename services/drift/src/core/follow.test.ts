import { baselineOf, driftOf } from "@calibration/models/drift-percent.ts";
import { createRandom } from "@calibration/models/random.ts";
import { quantile } from "@calibration/models/statistics.ts";
import { expect, it } from "vitest";
import { createFollowing, follow, restart, type Following } from "./follow.ts";

const CONTEXT = { rangeMin: null, rangeMax: null, baseline: null, levels: [1, 5] };
const FIRST_MS = Date.UTC(2026, 0, 1);

it("says at every reading what all its hours say, also after a calibration and from a stored state", () => {
  const random = createRandom(5);
  let state = createFollowing();
  for (let i = 0; i < 6000; i++) {
    if (i === 2500) restart(state, FIRST_MS + 2490 * 600_000, [20, 21], [20, 21]);
    if (i % 997 === 0 && i > 0) state = JSON.parse(JSON.stringify(state)) as Following;
    // Rounded, so that hours are equal now and then.
    const value = Math.round(20 + i / 1000 + random.normal());
    const { drift, baseline, span } = follow(state, FIRST_MS + i * 600_000, value, CONTEXT);
    const open = state.open!.sum / state.open!.count;
    expect(span).toBe(quantile(state.sample, 0.95) - quantile(state.sample, 0.05));
    if (drift === null) continue;
    expect(baseline).toBe(baselineOf([...state.first, open].slice(0, 24)));
    expect(drift).toBe(driftOf([...state.last, open].slice(-24), baseline!, span));
  }
});
