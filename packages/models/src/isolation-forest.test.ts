import { IsolationForest as MlIsolationForest } from "ml-isolation-forest";
import { describe, expect, it } from "vitest";
import {
  averagePathLength,
  createForestReader,
  decodeIsolationForest,
  encodeIsolationForest,
  expectedValue,
  explainReading,
  fitIsolationForest,
  heldBytes,
  scoreReading,
  scoreRows,
  type IsolationForest,
} from "./isolation-forest.ts";
import { createRandom } from "./random.ts";

/** A day's rhythm and noise, one reading every ten minutes; every `strangeEvery`-th is far off. */
function aSignal(count: number, { seed = 1, strangeEvery = Infinity } = {}): Float64Array {
  const random = createRandom(seed);
  const rows = new Float64Array(count * 3);
  for (let i = 0; i < count; i++) {
    const hour = Math.floor(i / 6) % 24;
    const strange = i % strangeEvery === strangeEvery - 1 ? (i % (2 * strangeEvery) < strangeEvery ? 60 : -60) : 0;
    rows.set(
      [20 + 5 * Math.sin((hour / 24) * 2 * Math.PI) + random.normal() + strange, hour, Math.floor(i / 144) % 7],
      i * 3,
    );
  }
  return rows;
}

/** The score as the paper writes it: every tree walked, no slot. */
function walkedScore(forest: IsolationForest, row: readonly [number, number, number]): number {
  let path = 0;
  for (const root of forest.roots) {
    let node = root;
    while (forest.feature[node] !== 255)
      node = forest.left[node]! + (row[forest.feature[node]!]! > forest.split[node]! ? 1 : 0);
    path += forest.split[node]!;
  }
  return 2 ** (-path / (forest.roots.length * averagePathLength(forest.subsample)));
}

describe("fitIsolationForest", () => {
  it("scores every reading as walking its trees does", () => {
    const rows = aSignal(2000);
    const forest = fitIsolationForest(rows);
    const random = createRandom(3);
    for (let i = 0; i < 3000; i++) {
      const row = [random.float() * 60 - 10, random.integer(24), random.integer(7)] as const;
      expect(scoreReading(forest, ...row)).toBeCloseTo(walkedScore(forest, row), 9);
    }
    for (const value of [forest.split[0]!, -1e30, 1e30])
      expect(scoreReading(forest, value, 3, 3)).toBeCloseTo(walkedScore(forest, [value, 3, 3]), 9);
  });

  it("flags the intended share of what it was fitted on", () => {
    const rows = aSignal(5000);
    const forest = fitIsolationForest(rows, { contamination: 0.05 });
    const flagged = scoreRows(forest, rows).filter((score) => score > forest.threshold).length;
    expect(flagged / 5000).toBeGreaterThan(0.04);
    expect(flagged / 5000).toBeLessThanOrEqual(0.05);
  });

  it("agrees with an independent forest about gross outliers", () => {
    const rows = aSignal(1000, { strangeEvery: 50 });
    const strange = new Set(Array.from({ length: 20 }, (_, n) => n * 50 + 49));
    const inTop40 = (scores: ArrayLike<number>) =>
      Array.from(scores, (score, i) => ({ score, i }))
        .sort((a, b) => b.score - a.score)
        .slice(0, 40)
        .filter(({ i }) => strange.has(i)).length;
    expect(inTop40(scoreRows(fitIsolationForest(rows), rows))).toBe(20);

    const witness = new MlIsolationForest({ nEstimators: 100 });
    const table = Array.from({ length: 1000 }, (_, i) => [...rows.subarray(i * 3, i * 3 + 3)]);
    witness.train(table);
    expect(inTop40(witness.predict(table))).toBe(20);
  });

  it("gives identical values the score one half", () => {
    const forest = fitIsolationForest(Float64Array.from({ length: 300 }, (_, i) => [7, 5, 1][i % 3]!));
    expect(scoreReading(forest, 7, 5, 1)).toBeCloseTo(0.5, 6);
    expect(scoreReading(forest, NaN, 5, 1)).toBeNaN();
  });

  it("refuses what is no training set", () => {
    expect(() => fitIsolationForest(new Float64Array(3))).toThrow(/at least 2 rows/);
    expect(() => fitIsolationForest(new Float64Array([1, 2, 3, NaN, 2, 3]))).toThrow(/finite/);
    expect(() => fitIsolationForest(aSignal(10), { contamination: 0 })).toThrow(/contamination/);
    expect(() => fitIsolationForest(aSignal(10), { trees: 0 })).toThrow(/trees/);
  });
});

describe("encodeIsolationForest", () => {
  it("comes back as it was, and small", () => {
    const rows = aSignal(10_000);
    const forest = fitIsolationForest(rows);
    const bytes = encodeIsolationForest(forest);
    expect(bytes.length).toBeLessThan(64 * 1024);
    const read = decodeIsolationForest(bytes);
    // Splits of hours and weekdays come back without the fraction that never mattered.
    const whole = forest.split.map((at, node) =>
      forest.feature[node] === 1 || forest.feature[node] === 2 ? Math.floor(at) : at,
    );
    expect(read).toEqual({ ...forest, split: whole, slots: [] });
    expect(scoreRows(read, rows)).toEqual(scoreRows(forest, rows));
    expect(encodeIsolationForest(fitIsolationForest(rows))).toEqual(bytes);
  });

  it("is refused with any of its bytes missing, and never read past its end", () => {
    const bytes = encodeIsolationForest(fitIsolationForest(aSignal(50), { trees: 3, subsample: 16 }));
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeIsolationForest(bytes.subarray(0, length))).toThrow(RangeError);
  });
});

describe("createForestReader", () => {
  it("reads forests that score and explain as ever, and hold little of it", () => {
    const payloads = [1, 2, 3].map((seed) => encodeIsolationForest(fitIsolationForest(aSignal(500), { seed })));
    const read = createForestReader(1);
    const small = payloads.map(read);
    const before = heldBytes(small[0]!);
    // In turns, so that each has to be opened again and again.
    for (let hour = 0; hour < 24; hour++) {
      for (const [i, forest] of small.entries()) {
        const whole = decodeIsolationForest(payloads[i]!);
        expect(scoreReading(forest, 20 + hour, hour, 2)).toBe(scoreReading(whole, 20 + hour, hour, 2));
        expect(expectedValue(forest, hour, 2)).toEqual(expectedValue(whole, hour, 2));
        expect(explainReading(forest, 20 + hour, hour, 2)).toEqual(explainReading(whole, 20 + hour, hour, 2));
        expect(forest.threshold).toBe(whole.threshold);
      }
    }
    const { breakpoints, scores, grid } = small[0]!.slots[48]!;
    const oneHour = breakpoints.byteLength + scores.byteLength + grid.byteLength;
    expect(before).toBeGreaterThan(payloads[0]!.byteLength);
    expect(heldBytes(small[0]!)).toBeGreaterThan(before + oneHour);
    expect(() => read(payloads[0]!.subarray(0, 100))).toThrow(RangeError);
  });
});

describe("expectedValue and explainReading", () => {
  it("say what is usual at an hour, and which feature was strange", () => {
    const forest = fitIsolationForest(aSignal(8000), { subsample: 1024 });
    const morning = expectedValue(forest, 6, 2)!;
    expect(morning.expected).toBeGreaterThan(22);
    expect(morning.expected).toBeLessThan(27);
    expect(morning.spread).toBeGreaterThan(0);
    const shares = explainReading(forest, 60, 6, 2);
    expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    expect(shares[0]!.share).toBeGreaterThan(0.5);
  });
});
