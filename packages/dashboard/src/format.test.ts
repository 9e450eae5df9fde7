import { expect, it } from "vitest";
import { formatAge, formatBytes, formatDrift, formatPercent, formatUtc, formatValue } from "./format.ts";

it("shows a value with as many decimals as tell it from its neighbours", () => {
  expect([4.2129, 82.412, 501.23, 12_340.4, -0.5, null].map(formatValue)).toEqual([
    "4.213",
    "82.41",
    "501.2",
    "12,340",
    "−0.500",
    "–",
  ]);
});

it("shows drift with its sign, and none where it rounds to nothing", () => {
  expect([1.94, -0.71, 0.04, -0.04, 123.4, null].map(formatDrift)).toEqual([
    "+1.9 %",
    "−0.7 %",
    "0.0 %",
    "0.0 %",
    "+123 %",
    "–",
  ]);
});

it("shows ages, never negative ones, and instants as everybody calls them", () => {
  const at = "2026-11-23T07:00:00.000Z";
  const ms = Date.parse(at);
  expect([-5_000, 12_000, 185_000, 5 * 3_600_000, 12 * 86_400_000].map((age) => formatAge(at, ms + age))).toEqual([
    "0 s ago",
    "12 s ago",
    "3 min ago",
    "5 h ago",
    "12 d ago",
  ]);
  expect(formatAge(null, ms)).toBe("never");
  expect(formatUtc(at)).toBe("2026-11-23 07:00:00 UTC");
  expect([0, 512, 1536, 3 * 1024 ** 3].map(formatBytes)).toEqual(["0 B", "512 B", "1.5 KB", "3.0 GB"]);
});

it("says of a share that is there, however small, that it is there", () => {
  expect([0, 0.0002, -0.01, 0.06, 97.25, 250].map(formatPercent)).toEqual([
    "0.0 %",
    "< 0.1 %",
    "< 0.1 %",
    "0.1 %",
    "97.3 %",
    "250 %",
  ]);
});
