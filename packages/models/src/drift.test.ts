import { describe, expect, it } from "vitest";
import {
  decodeDriftModel,
  encodeDriftModel,
  fitDriftModel,
  forecastDrift,
  measureDrift,
  type DriftTraining,
} from "./drift-model.ts";
import { baselineOf, driftOf, percentOf, valueOf } from "./drift-percent.ts";
import { fitLinear } from "./drift-regression.ts";
import { createRandom } from "./random.ts";
import { clipSpikes } from "./spikes.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);
const hourOfDay = (timestampMs: number): number => Math.floor(timestampMs / HOUR_MS) % 24;

/** Hourly means of a sensor at 100 with a daily rhythm, noise, and a drift of so many percent a day. */
function aHistory(hours: number, { perDay = 0, seed = 1 } = {}): DriftTraining {
  const random = createRandom(seed);
  return {
    timesMs: Float64Array.from({ length: hours }, (_, h) => START_MS + h * HOUR_MS),
    values: Float64Array.from(
      { length: hours },
      (_, h) => 100 + 3 * Math.sin((h / 24) * 2 * Math.PI) + (perDay * h) / 24 + 0.3 * random.normal(),
    ),
    cadence: "hour",
    baseline: 100,
    span: 10,
    hourOfDay,
  };
}

function forecastOf(
  history: DriftTraining,
  model: Parameters<typeof forecastDrift>[0],
  ask: Parameters<typeof forecastDrift>[2],
) {
  return forecastDrift(
    model,
    {
      hourlyTimesMs: history.timesMs,
      hourlyMeans: history.values,
      lastReadingMs: history.timesMs.at(-1)!,
      baseline: 100,
      span: 10,
      hourOfDay,
    },
    ask,
  );
}

describe("drift in percent", () => {
  it("is of the baseline, and of the span where the baseline is next to nothing", () => {
    expect(driftOf([10.5, 10.5], 10, 20)).toBeCloseTo(5);
    expect(percentOf(-9, -10, 20)).toBeCloseTo(10);
    expect(percentOf(1, 0, 20)).toBeCloseTo(5);
    expect(valueOf(5, 10, 20)).toBeCloseTo(10.5);
    expect(baselineOf([1, 2, 3])).toBe(2);
  });
});

describe("the regression", () => {
  it("equals a direct solution at nine digits, also on columns as large as epoch times", () => {
    const random = createRandom(5);
    const rows = Array.from({ length: 200 }, () => [
      random.normal(),
      5 + random.normal(),
      1.7e9 + 1e6 * random.float(),
    ]);
    const targets = rows.map(([a, b, c]) => 2 * a! - 3 * b! + 1e-6 * (c! - 1.7e9) + 0.1 * random.normal());
    const { weights, intercept } = fitLinear(rows, targets);
    const direct = solveDirectly(rows, targets);
    weights.forEach((weight, i) => expect(weight / direct[i]!).toBeCloseTo(1, 9));
    expect(
      rows.reduce((sum, row, i) => sum + targets[i]! - intercept - row.reduce((s, x, c) => s + x * weights[c]!, 0), 0) /
        200,
    ).toBeCloseTo(0, 6);
  });
});

describe("clipSpikes", () => {
  it("cuts a spike down to what its neighbours allow, and leaves the rest as it is", () => {
    const clipped = clipSpikes([1, 2, 1, 2, 900, 2, 1, 2]);
    expect(clipped[4]).toBeCloseTo(6.4478, 9);
    expect([...clipped].toSpliced(4, 1)).toEqual([1, 2, 1, 2, 2, 1, 2]);
    expect([...clipSpikes([5, 5, 5, 5, 6])]).toEqual([5, 5, 5, 5, 6]);
  });
});

describe("forecastDrift", () => {
  it("is not carried away by one wild hour, whether before its training or after", () => {
    for (const cadence of ["hour", "reading"] as const) {
      const history = { ...aHistory(720), cadence };
      const spiked = { ...history, values: history.values.map((value, h) => (h === 719 ? 16_000 : value)) };
      for (const training of [history, spiked]) {
        const model = fitDriftModel(training);
        for (const method of ["linear_regression", "blend"] as const) {
          const { points } = forecastOf(spiked, model, { horizonHours: 168, stepHours: 1, method });
          expect(points.map(({ value }) => value).filter((value) => !(value > 60 && value < 140))).toEqual([]);
        }
      }
    }
  });

  it("foresees nothing where numbers have no end", () => {
    const history = aHistory(100);
    const endless = { ...history, values: history.values.map((_, h) => (h % 2 === 0 ? 1.7e308 : -1.7e308)) };
    expect(forecastOf(endless, null, { horizonHours: 24, stepHours: 1 })).toMatchObject({
      points: [],
      fallbackReason: "prediction_error",
      slope: null,
    });
  });

  it("follows a drift a week ahead, inside its own band", () => {
    for (const seed of [1, 2, 3]) {
      const all = aHistory(720 + 168, { perDay: 0.3, seed });
      const past = { ...all, timesMs: all.timesMs.slice(0, 720), values: all.values.slice(0, 720) };
      const { method, points, fallbackReason } = forecastOf(past, fitDriftModel(past), {
        horizonHours: 168,
        stepHours: 1,
      });
      expect({ method, fallbackReason, count: points.length }).toEqual({
        method: "blend",
        fallbackReason: null,
        count: 168,
      });
      expect(points[0]!.timestampMs).toBe(past.timesMs.at(-1)! + HOUR_MS);
      const inside = points.filter(
        ({ lower, upper }, k) => lower <= all.values[720 + k]! && all.values[720 + k]! <= upper,
      ).length;
      expect(inside / 168).toBeGreaterThan(0.7);
      expect(Math.abs(points.at(-1)!.value - all.values.at(-1)!)).toBeLessThan(3);
    }
  });

  it("gives floor(horizon / step) points, with steps of a fraction too", () => {
    const past = aHistory(200);
    const model = fitDriftModel(past);
    expect(forecastOf(past, model, { horizonHours: 24, stepHours: 5 }).points).toHaveLength(4);
    expect(
      forecastOf(past, model, { horizonHours: 2, stepHours: 0.5 }).points.map(
        ({ timestampMs }) => timestampMs - past.timesMs.at(-1)!,
      ),
    ).toEqual([0.5, 1, 1.5, 2].map((h) => h * HOUR_MS));
    expect(forecastOf(past, model, { horizonHours: 24, stepHours: 1, method: "linear_regression" }).method).toBe(
      "linear_regression",
    );
  });

  it("tells the slope, and when the tolerance is left: before, at and after the truth", () => {
    const past = aHistory(720, { perDay: 0.3 });
    const model = fitDriftModel(past);
    // At 9 % of drift now, 12 % are reached in ten days.
    const ask = { horizonHours: 24, stepHours: 24 };
    const { slope, timeToTolerance, points } = forecastOf(past, model, { ...ask, tolerance: 12 });
    expect(slope!.perDay).toBeCloseTo(0.3, 1);
    expect(slope!.low).toBeLessThanOrEqual(slope!.perDay);
    expect(slope!.perDay).toBeLessThanOrEqual(slope!.high);
    expect(timeToTolerance!.t50! / 24).toBeGreaterThan(8);
    expect(timeToTolerance!.t50! / 24).toBeLessThan(12);
    expect(timeToTolerance!.t10!).toBeLessThan(timeToTolerance!.t50!);
    expect(timeToTolerance!.t90 ?? Infinity).toBeGreaterThan(timeToTolerance!.t50!);
    expect(forecastOf(past, model, { ...ask, tolerance: 50 }).timeToTolerance).toEqual({
      t10: null,
      t50: null,
      t90: null,
    });
    expect(forecastOf(past, model, { ...ask, tolerance: 5 }).timeToTolerance).toMatchObject({ t50: 0 });
    expect(forecastOf(past, model, ask).timeToTolerance).toBeNull();
    // With a tolerance, confidence is what the band leaves of it: a wide one leaves more.
    expect(points[0]!.confidence).toBeLessThan(
      forecastOf(past, model, { ...ask, tolerance: 50 }).points[0]!.confidence,
    );
  });

  it("answers by a straight line without a model, and says why", () => {
    const past = aHistory(100, { perDay: 1 });
    const trend = forecastOf(past, null, { horizonHours: 24, stepHours: 24 });
    expect(trend).toMatchObject({ method: "trend", fallbackReason: "model_missing" });
    expect(trend.points[0]!.confidence).toBeLessThanOrEqual(0.5);
    expect(trend.points[0]!.drift).toBeGreaterThan(2);
    const young = forecastOf(aHistory(1), fitDriftModel(past), { horizonHours: 3, stepHours: 1 });
    expect(young).toMatchObject({ method: "trend", fallbackReason: "insufficient_history" });
    expect(young.points).toHaveLength(3);
  });
});

describe("measureDrift", () => {
  it("is better than to say that nothing changes, and covers what it promises", () => {
    const measured = measureDrift(aHistory(720, { perDay: 0.3 }));
    expect(measured.skill).toBeGreaterThan(0.2);
    expect(measured.coverage).toBeGreaterThan(0.6);
    expect(measured.reason).toBeNull();
  });

  it("says why where it cannot measure", () => {
    expect(measureDrift(aHistory(22))).toMatchObject({
      skill: null,
      reason: expect.stringMatching(/needs 20/) as string,
    });
    expect(() => fitDriftModel(aHistory(19))).toThrow(/needs 20/);
  });
});

describe("encodeDriftModel", () => {
  it("comes back as it was, and only as a model", () => {
    const model = fitDriftModel(aHistory(60));
    expect(decodeDriftModel(encodeDriftModel(model))).toEqual(model);
    expect(() => decodeDriftModel(new TextEncoder().encode('{"format":1}'))).toThrow(/lacks/);
    expect(() => decodeDriftModel(new TextEncoder().encode('{"format":9}'))).toThrow(
      expect.objectContaining({ code: "model_incompatible" }) as Error,
    );
  });
});

/** Normal equations of centred columns by Gauss–Jordan, written independently of the code under test. */
function solveDirectly(rows: readonly number[][], targets: readonly number[]): number[] {
  const d = rows[0]!.length;
  const centre = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const means = Array.from({ length: d }, (_, c) => centre(rows.map((row) => row[c]!)));
  const level = centre([...targets]);
  const scale = Array.from({ length: d }, (_, c) => Math.max(...rows.map((row) => Math.abs(row[c]! - means[c]!))));
  const x = rows.map((row) => row.map((value, c) => (value - means[c]!) / scale[c]!));
  const matrix = Array.from({ length: d }, (_, i) => [
    ...Array.from({ length: d }, (__, j) => x.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    x.reduce((sum, row, k) => sum + row[i]! * (targets[k]! - level), 0),
  ]);
  for (let i = 0; i < d; i++) {
    const pivot = matrix[i]![i]!;
    matrix[i] = matrix[i]!.map((value) => value / pivot);
    for (let j = 0; j < d; j++)
      if (j !== i) matrix[j] = matrix[j]!.map((value, c) => value - matrix[j]![i]! * matrix[i]![c]!);
  }
  return matrix.map((row, i) => row[d]! / scale[i]!);
}
