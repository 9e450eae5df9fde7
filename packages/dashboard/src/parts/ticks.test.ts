import { expect, it } from "vitest";
import { tickText } from "./ticks.ts";

it("writes the ticks of an axis so that they tell themselves apart", () => {
  const written = (ticks: number[]) => ticks.map((tick) => tickText(tick, ticks));
  expect(written([77.5, 80, 82.5])).toEqual(["77.5", "80.0", "82.5"]);
  expect(written([-10, 0, 10])).toEqual(["−10", "0", "10"]);
  expect(written([0.1, 0.2, 0.30000000000000004])).toEqual(["0.1", "0.2", "0.3"]);
  expect(written([1.25, 1.5, 1.75])).toEqual(["1.25", "1.50", "1.75"]);
});
