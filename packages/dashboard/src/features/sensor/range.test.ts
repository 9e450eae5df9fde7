import { expect, it } from "vitest";
import { forecastOf, HOUR_MS, panned, rangeOf, readRangeSearch, SPAN_MS_MAX, SPAN_MS_MIN, zoomed } from "./range.ts";

const NOW = Date.UTC(2026, 10, 23, 7, 0, 7);

it("follows now in steps, or stands still where a period was chosen", () => {
  const range = rangeOf({ span: 1 }, NOW);
  expect(range).toEqual({ fromMs: NOW + 8_000 - HOUR_MS, toMs: NOW + 8_000, follows: true });
  expect(rangeOf({ from: 10 * HOUR_MS, to: 12 * HOUR_MS }, NOW)).toEqual({
    fromMs: 10 * HOUR_MS,
    toMs: 12 * HOUR_MS,
    follows: false,
  });
  // Nonsense in the address bar is the default day.
  expect(rangeOf(readRangeSearch({ from: "x", to: "-3", span: {} }), NOW).toMs - rangeOf({}, NOW).fromMs).toBe(
    24 * HOUR_MS,
  );
});

it("zooms from 400 days to one minute and no further, about the place that was meant", () => {
  const day = { fromMs: 0, toMs: 24 * HOUR_MS, follows: true };
  expect(zoomed(day, 0.5)).toEqual({ fromMs: 6 * HOUR_MS, toMs: 18 * HOUR_MS, follows: false });
  expect(zoomed(day, 0.5, 0)).toEqual({ fromMs: 0, toMs: 12 * HOUR_MS, follows: false });
  const least = zoomed(day, 1e-9);
  expect(least.toMs - least.fromMs).toBe(SPAN_MS_MIN);
  const most = zoomed(day, 1e9);
  expect(most.toMs - most.fromMs).toBe(SPAN_MS_MAX);
  expect(panned(day, -0.5)).toEqual({ fromMs: -12 * HOUR_MS, toMs: 12 * HOUR_MS, follows: false });
});

it("continues what follows now with a forecast, where hours are to be seen", () => {
  expect(forecastOf(rangeOf({ span: 24 }, NOW))).toEqual({ horizon: 6, step: 0.25 });
  expect(forecastOf(rangeOf({ span: 9600 }, NOW))?.horizon).toBe(336);
  expect(forecastOf(rangeOf({ span: 1 }, NOW))).toBeNull();
  expect(forecastOf({ fromMs: 0, toMs: 48 * HOUR_MS, follows: false })).toBeNull();
});
