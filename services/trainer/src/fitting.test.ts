import { createRandom } from "@calibration/models/random.ts";
import { SETTINGS_DEFAULTS } from "@calibration/shared/sensor.ts";
import { expect, it } from "vitest";
import { train, type FitTask } from "./core/train.ts";
import { openFitting } from "./fitting.ts";

const HOUR_MS = 3_600_000;
const body = {
  name: "A sensor",
  type: "Temperature",
  unit: "°C",
  range_min: null,
  range_max: null,
  expected_interval_s: null,
  baseline: null,
  settings: { ...SETTINGS_DEFAULTS },
} as const;

/** Made anew each time: what is handed to a thread is gone. */
function tasks(): FitTask[] {
  const random = createRandom(3);
  const series = (count: number, stepMs: number) => ({
    timesMs: Float64Array.from({ length: count }, (_, i) => Date.UTC(2026, 0, 1) + i * stepMs),
    values: Float64Array.from({ length: count }, (_, i) => 20 + 3 * Math.sin(i / 30) + random.normal()),
  });
  const hourly = { cadence: "hour", counts: new Float64Array(300).fill(60), readings: 18_000 } as const;
  const pairs = Array.from({ length: 30 }, (_, i) => ({
    raw: 10 + i,
    corrected: 9 + 1.02 * i,
    appliedAtMs: Date.UTC(2026, 0, 1 + i),
  }));
  return [
    { type: "anomaly", series: series(4000, 60_000), settings: body.settings },
    { type: "drift", series: series(300, HOUR_MS), ...hourly, body },
    { type: "calibration", pairs },
  ];
}

it("a thread fits the same bytes and figures as this one, and compares them alike, while this one goes on", async () => {
  await using fitting = openFitting(1);
  const inForceToMs = Date.UTC(2026, 0, 2);
  for (const [i, task] of tasks().entries()) {
    const own = train(tasks()[i]!);
    let turns = 0;
    let isFitting = true;
    const turn = () => {
      turns++;
      if (isFitting) setImmediate(turn);
    };
    setImmediate(turn);
    using fitted = await fitting.fit(task);
    isFitting = false;
    expect(turns, "turns of this thread meanwhile").toBeGreaterThan(0);
    const { data, compareWith: _, artifact, ...figures } = own;
    expect(Buffer.from(fitted.artifact).equals(artifact)).toBe(true);
    expect(fitted).toMatchObject({ ...figures, rows: data[0]!.length });
    const comparison = await fitted.compareWith(artifact, inForceToMs);
    expect(comparison).toEqual(own.compareWith(artifact, inForceToMs));
    expect((comparison as { readings: number }).readings).toBeGreaterThan(20);
    expect(await fitted.compareWith(artifact.slice(0, 40), inForceToMs)).toBe("unreadable");
  }
});

it("a fit that fails is that request's error, and the thread takes the next one", async () => {
  await using fitting = openFitting(1);
  const nothing = { timesMs: new Float64Array(0), values: new Float64Array(0) };
  await expect(fitting.fit({ type: "anomaly", series: nothing, settings: body.settings })).rejects.toThrow(
    "at least 2 rows",
  );
  using fitted = await fitting.fit(tasks()[2]!);
  expect(fitted.samples).toBe(30);
});

it("as many are fitted at a time as there are threads; the next one waits until one is let go", async () => {
  await using fitting = openFitting(2);
  const [first, second] = await Promise.all([fitting.fit(tasks()[2]!), fitting.fit(tasks()[2]!)]);
  let third: Awaited<ReturnType<typeof fitting.fit>> | null = null;
  const waiting = fitting.fit(tasks()[2]!).then((fitted) => (third = fitted));
  // Both still answer for what they have fitted, so that neither was taken away.
  for (const one of [first, second]) await one.compareWith(one.artifact, 0);
  expect(third).toBeNull();
  first[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
  second[Symbol.dispose]();
});
