import { expect, it } from "vitest";
import { bigInts, doubles, flags, instants, ints, smallInts, words } from "./columns.ts";

const hex = (column: Buffer) => column.toString("hex");
/** One dimension, no nulls, the type's number, how many, counted from 1. */
const head = (oid: number, count: number, hasNull = 0) =>
  [1, hasNull, oid, count, 1].map((word) => word.toString(16).padStart(8, "0")).join("");

it("writes numbers, flags and instants as PostgreSQL sends its own arrays", () => {
  expect(hex(ints([1, -2]))).toBe(`${head(23, 2)}000000040000000100000004fffffffe`);
  expect(hex(smallInts([258]))).toBe(`${head(21, 1)}000000020102`);
  expect(hex(bigInts([2 ** 40 + 5, -1]))).toBe(`${head(20, 2)}00000008000001000000000500000008ffffffffffffffff`);
  expect(hex(doubles([0.1 + 0.2]))).toBe(`${head(701, 1)}000000083fd3333333333334`);
  expect(hex(flags([true, false]))).toBe(`${head(16, 2)}00000001010000000100`);
  // A microsecond after the epoch of PostgreSQL is 1; a millisecond before it is -1000.
  const millennium = Date.UTC(2000, 0, 1);
  expect(hex(instants([millennium + 0.001, millennium - 1]))).toBe(
    `${head(1184, 2)}00000008000000000000000100000008fffffffffffffc18`,
  );
  expect(instants([Date.UTC(9999, 0, 1)]).readBigInt64BE(24)).toBe(BigInt(Date.UTC(9999, 0, 1) - millennium) * 1000n);
  expect(hex(doubles([null, 1]))).toBe(`${head(701, 2, 1)}ffffffff000000083ff0000000000000`);
  expect(hex(ints([]))).toBe(head(23, 0));
});

it("refuses an integer that a double does not hold exactly", () => {
  expect(() => bigInts([2 ** 53])).toThrow(RangeError);
  expect(() => bigInts([NaN])).toThrow(RangeError);
  expect(() => instants([Infinity])).toThrow(RangeError);
});

it("writes words, and refuses what would have to be quoted", () => {
  expect(words(["identity", "robust_linear"])).toBe("{identity,robust_linear}");
  for (const wrong of ['a"', "a}", "A b", "a\\"]) expect(() => words([wrong])).toThrow(RangeError);
});
