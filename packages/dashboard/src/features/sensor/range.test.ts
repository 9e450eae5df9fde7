import { expect, it } from "vitest";
import {
  forecastOf,
  HOUR_MS,
  isWithin,
  moved,
  panned,
  rangeAround,
  rangeOf,
  readRangeSearch,
  SPAN_MS_MAX,
  SPAN_MS_MIN,
  stretched,
  zoomed,
} from "./range.ts";

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

it("keeps the times under two fingers under them", () => {
  const day = { fromMs: 0, toMs: 24 * HOUR_MS, follows: true };
  expect(moved(day, 0.5, 0.25)).toEqual({ fromMs: 6 * HOUR_MS, toMs: 30 * HOUR_MS, follows: false });
  // 6 and 18 hours lie at a quarter and three quarters, and are taken to the edges.
  expect(stretched(day, [0.25, 0.75], [0, 1])).toEqual({ fromMs: 6 * HOUR_MS, toMs: 18 * HOUR_MS, follows: false });
  expect(stretched(day, [0.5, 0.5], [0.25, 0.25])).toEqual(moved(day, 0.5, 0.25));
});

it("continues what is shown with a forecast, by the hour, where hours are to be seen", () => {
  expect(forecastOf(rangeOf({ span: 24 }, NOW), NOW)).toEqual({ horizon: 6, step: 0.25 });
  expect(forecastOf(rangeOf({ span: 720 }, NOW), NOW)).toEqual({ horizon: 180, step: 1 });
  expect(forecastOf(rangeOf({ span: 9600 }, NOW), NOW)?.horizon).toBe(336);
  expect(forecastOf(rangeOf({ span: 1 }, NOW), NOW)).toBeNull();
  // A fixed period has one as far as it reaches beyond now.
  const fixed = { fromMs: NOW - 20 * HOUR_MS, toMs: NOW, follows: false };
  expect(forecastOf(fixed, NOW)).toBeNull();
  expect(forecastOf(panned(fixed, 0.25), NOW)).toEqual({ horizon: 5, step: 5 / 24 });
});

it("shows an instant with what came before and after it", () => {
  const { from, to } = rangeAround(new Date(NOW).toISOString());
  expect([from, to]).toEqual([NOW - 6 * HOUR_MS, NOW + 6 * HOUR_MS]);
  expect(isWithin({ fromMs: from, toMs: to, follows: false }, new Date(NOW).toISOString())).toBe(true);
  expect(isWithin({ fromMs: from, toMs: to, follows: false }, new Date(to + 1).toISOString())).toBe(false);
});
