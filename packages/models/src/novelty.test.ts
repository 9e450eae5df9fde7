import { describe, expect, it } from "vitest";
import { BUDGET_THETAS, thetaForBudget } from "./false-alarm-budget.ts";
import { ALARMS_FROM, createNovelty, decodeNovelty, encodeNovelty, updateNovelty, type Novelty } from "./novelty.ts";
import { createRandom } from "./random.ts";

const INTERVAL_S = 300;
const DAY_READINGS = 288;

/** Five-minute readings with a daily rhythm; `strange` adds to some of them. */
function aSignal(count: number, strange: (n: number) => number = () => 0, seed = 1): Float64Array {
  const random = createRandom(seed);
  return Float64Array.from(
    { length: count },
    (_, n) => 50 + 5 * Math.sin((n / DAY_READINGS) * 2 * Math.PI) + random.normal() + strange(n),
  );
}

function watched(values: ArrayLike<number>, state: Novelty = createNovelty(), from = 0): number[] {
  const alarms: number[] = [];
  for (let n = from; n < values.length; n++)
    if (updateNovelty(state, n * INTERVAL_S, values[n]!, 5.5).alarm) alarms.push(n);
  return alarms;
}

/** Events of several kinds, far enough apart. */
const events = (n: number): number =>
  n === 1000 || n === 1001 ? 14 : n > 1500 && n < 1560 ? -9 : n > 2200 && n < 2300 ? 8 * Math.sin(n) : n > 2800 ? 7 : 0;

describe("the novelty detector", () => {
  it("alarms alike at any scale and offset, and upside down", () => {
    const values = aSignal(3500, events);
    const alarms = watched(values);
    expect(alarms.length).toBeGreaterThanOrEqual(4);
    for (const change of [
      (value: number) => 1000 * value,
      (value: number) => value / 1000,
      (value: number) => -value,
      (value: number) => value + 1e5,
      (value: number) => 9 * value - 459.67,
    ])
      expect(watched(values.map(change))).toEqual(alarms);
  });

  it("is mute below 300 readings; what goes on then is told", () => {
    const over = aSignal(1000, (n) => (n === 200 ? 40 : 0));
    expect(watched(over).filter((n) => n <= ALARMS_FROM)).toEqual([]);
    const goesOn = aSignal(1000, (n) => (n >= 293 ? 30 : 0));
    expect(watched(goesOn)[0]).toBe(ALARMS_FROM - 1);
  });

  it("goes on from its bytes exactly, and from those of the format before with a history yet to be shown", () => {
    const values = aSignal(6000, events);
    const state = createNovelty();
    watched(values.subarray(0, 3000), state);
    const bytes = encodeNovelty(state);
    const resumed = decodeNovelty(bytes);
    expect(watched(values, resumed, 3000)).toEqual(watched(values, state, 3000));
    expect(Buffer.from(encodeNovelty(resumed)).equals(Buffer.from(encodeNovelty(state)))).toBe(true);

    // The format before had no history, which stands between the arrays and the tails.
    const [historyAt, historyBytes] = [5448, 8 + 3 * 8 * BUDGET_THETAS.length];
    const before = Uint8Array.from([...bytes.subarray(0, historyAt), ...bytes.subarray(historyAt + historyBytes)]);
    new DataView(before.buffer).setFloat64(0, 2, true);
    const older = decodeNovelty(before);
    expect(older.shown).toMatchObject({ days: 0 });
    expect(watched(values.subarray(0, 3500), older, 3000)).toEqual(
      watched(values.subarray(0, 3500), decodeNovelty(bytes), 3000),
    );
    expect(() => decodeNovelty(bytes.subarray(0, -1))).toThrow(RangeError);
  });

  it("sets its threshold by what the sensor itself has shown", () => {
    const calm = createNovelty();
    watched(aSignal(40 * DAY_READINGS), calm);
    const restless = createNovelty();
    watched(
      aSignal(40 * DAY_READINGS, (n) => (n % 200 === 0 ? 12 + (n % 7) : 0)),
      restless,
    );
    expect(calm.shown.days).toBe(38);
    expect(thetaForBudget(1, calm.shown)).toBeLessThan(thetaForBudget(1));
    expect(thetaForBudget(1, restless.shown)).toBeGreaterThan(thetaForBudget(1));
  });
});
