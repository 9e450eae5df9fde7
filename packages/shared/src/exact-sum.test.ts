import { describe, expect, it } from "vitest";
import { addSum, addValue, createExactSum, textOf } from "./exact-sum.ts";

const sumOf = (...values: number[]) => {
  const sum = createExactSum();
  for (const value of values) addValue(sum, value);
  return sum;
};

describe("an exact sum", () => {
  it("adds what the numbers say and not what their doubles are", () => {
    expect(textOf(sumOf(0.1, 0.2))).toBe("0.3");
    expect(textOf(sumOf(20.125, -0.5, 3))).toBe("22.625");
    expect(textOf(sumOf(0.5, -0.5))).toBe("0.0");
    expect(textOf(sumOf(-0))).toBe("0");
    expect(textOf(sumOf(-0.05))).toBe("-0.05");
    expect(textOf(sumOf(1e9, 1e-9))).toBe("1000000000.000000001");
  });

  it("takes a double for the decimal number of 15 digits that is nearest to it, of two the even one", () => {
    expect(textOf(sumOf(1 / 3))).toBe("0.333333333333333");
    expect(textOf(sumOf(1.5e300))).toBe(`15${"0".repeat(299)}`);
    expect(textOf(sumOf(2.5e-10))).toBe("0.00000000025");
    expect(textOf(sumOf(100_000_000_000_000.5))).toBe("100000000000000");
    expect(textOf(sumOf(100_000_000_000_001.5))).toBe("100000000000002");
    expect(textOf(sumOf(100_000_000_000_000.52))).toBe("100000000000001");
  });

  it("comes out the same wherever it was divided, also beyond what a double holds", () => {
    const values = Array.from({ length: 400 }, (_, n) => (n % 7 === 0 ? n / 7.3 : n % 3 === 0 ? 9e14 - n : n / 100));
    const whole = textOf(sumOf(...values));
    for (const at of [0, 1, 3, 200, 399, 400]) {
      const sum = sumOf(...values.slice(at));
      const other = sumOf(...values.slice(0, at));
      addSum(sum, other);
      expect(textOf(sum)).toBe(whole);
      expect(textOf(other)).toBe(textOf(sumOf(...values.slice(0, at))));
    }
  });
});
