import { expect, it } from "vitest";
import { numbers, words } from "./columns.ts";

it("writes numbers as PostgreSQL reads them, to the last bit", () => {
  expect(numbers([1, -2.5, 0.1 + 0.2, 1e300, 5e-324, null])).toBe("{1,-2.5,0.30000000000000004,1e+300,5e-324,NULL}");
  expect(numbers([])).toBe("{}");
});

it("writes words, and refuses what would have to be quoted", () => {
  expect(words(["identity", "robust_linear"])).toBe("{identity,robust_linear}");
  for (const wrong of ['a"', "a}", "A b", "a\\"]) expect(() => words([wrong])).toThrow(RangeError);
});
