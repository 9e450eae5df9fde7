/** Strange input, drawn by fast-check: what careless and hostile senders put where a reading or a request should be. */
import fc from "fast-check";

/** Every way to spell a number that is none, and some numbers that are hardly one. */
const NUMBERS = [
  "NaN",
  "nan",
  "-nan",
  "Infinity",
  "-Infinity",
  "1e999",
  "-1e999",
  "1e-999",
  "0x10",
  "01",
  "1.",
  ".5",
  "+1",
  "--1",
  "1e",
  "1_000",
  "٣",
  "９",
  "1,5",
  "null",
  "true",
  '""',
  '"NaN"',
  '"12"',
  "9007199254740993",
  "-0",
  "1e308",
  "5e-324",
  "undefined",
] as const;
const TIMES = [
  "2026-01-01T00:00:00Z",
  "2026-02-30T00:00:00Z",
  "2026-01-01",
  "2026-01-01T00:00:00",
  "2026-01-01T24:00:00Z",
  "9999-12-31T23:59:59Z",
  "0000-01-01T00:00:00Z",
  "+275760-09-13T00:00:00Z",
  "yesterday",
  "",
  "2026-01-01T00:00:00+99:99",
  "2026-06-30T23:59:60Z",
  "Infinity",
] as const;
const STRINGS = [
  "",
  " ",
  "\0",
  "\u0000a",
  "\ud800",
  "\uffff",
  "%00",
  "%zz",
  "../../etc/passwd",
  "'; drop table readings; --",
  '" or 1=1',
  "${7*7}",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "__proto__",
  "constructor",
  "a".repeat(5_000),
  "🌡️",
  "\r\nSet-Cookie: x=1",
  "-1",
  "0",
  "1",
  "2147483648",
  "9223372036854775808",
  "1e400",
  "NaN",
  "null",
  "[]",
  "{}",
] as const;

export const strangeString: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...STRINGS) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
);

const strangeNumber = fc.constantFrom(0, -0, -1, 1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 1e308, -1e308, 5e-324, 0.1, 1e21);

/** Any JSON, with the words of our own among its keys. */
export const strangeJson: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, false),
    strangeNumber,
    strangeString,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(
        fc.constantFrom("value", "timestamp", "quality", "sensor_id", "__proto__", "constructor", "toString", "id"),
        strangeString,
      ),
      tie("value"),
      { maxKeys: 4 },
    ),
  ),
})).value;

const encoder = new TextEncoder();

/** A reading as text, with a strange spelling somewhere in it. */
const oddReading = fc
  .record({
    value: fc.oneof(
      fc.constantFrom<string>(...NUMBERS),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    ),
    timestamp: fc.oneof(
      fc.constantFrom<string>(...TIMES).map((time) => JSON.stringify(time)),
      fc.constantFrom<string>(...NUMBERS),
    ),
    quality: fc.constantFrom('"good"', '"bad"', '"uncertain"', '"GOOD"', "1", "null", '"\\u0000"'),
    again: fc.boolean(),
  })
  .map(
    ({ value, timestamp, quality, again }) =>
      `{"value": ${value}, "timestamp": ${timestamp}, "quality": ${quality}${again ? ', "value": 7, "__proto__": {"value": 8}' : ""}}`,
  );

/** A whole array with one element that is none: the others must land. */
const arrayWithOneBad = fc
  .record({ size: fc.integer({ min: 2, max: 40 }), bad: strangeJson, startMs: fc.integer({ min: 0, max: 10 ** 9 }) })
  .map(({ size, bad, startMs }) =>
    JSON.stringify([
      ...Array.from({ length: size }, (_, n) => ({ value: n, timestamp: 1_600_000_000_000 + startMs + n })),
      bad,
    ]),
  );

/** Nested so deeply that whatever walks it by recursion ends. */
const deep = fc
  .record({
    depth: fc.constantFrom(10, 1_000, 100_000),
    around: fc.constantFrom("[", '{"value":'),
    inArray: fc.boolean(),
  })
  .map(({ depth, around, inArray }) => {
    const nested = `${around.repeat(depth)}1${(around === "[" ? "]" : "}").repeat(depth)}`;
    return inArray ? `[{"value": 1, "timestamp": 1600000000000}, ${nested}]` : nested;
  });

/** What a plant's payload may turn out to be. */
export const strangePayload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: oddReading.map((text) => encoder.encode(text)) },
  { weight: 3, arbitrary: arrayWithOneBad.map((text) => encoder.encode(text)) },
  { weight: 3, arbitrary: strangeJson.map((value) => encoder.encode(JSON.stringify(value))) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 100 }) },
  // Cut off anywhere, in the middle of a character too.
  {
    weight: 2,
    arbitrary: fc
      .tuple(oddReading, fc.nat(120))
      .map(([text, length]) => encoder.encode(`\ufeff${text} 🌡️`).subarray(0, length)),
  },
  { weight: 1, arbitrary: oddReading.map((text) => Buffer.from(text, "utf16le")) },
  { weight: 1, arbitrary: deep.map((text) => encoder.encode(text)) },
);
