import { describe, expect, it } from "vitest";
import { formatInstant, parseInstant, parseMessage, readElement, refuseTooOld, sensorOfSubject } from "./reading.ts";

const STORED_MS = Date.UTC(2026, 10, 23, 7, 0, 0);
const parse = (text: string) => parseMessage(Buffer.from(text), STORED_MS);

describe("a message", () => {
  it("brings one reading", () => {
    const { readings, isArray } = parse('{"value": 21.4, "timestamp": "2026-11-23T07:00:00.000Z", "other": true}');
    expect(isArray).toBe(false);
    expect(readings).toEqual([{ timestampMs: STORED_MS, value: 21.4, quality: "good" }]);
  });

  it("may lack the time only when it brings one reading", () => {
    expect(parse('[{"value": 1}]').readings[0]?.timestampMs).toBe(STORED_MS);
    expect(parse('[{"value": 1}, {"value": 2}]').refusals).toMatchObject([
      { index: 0, reason: "invalid_reading" },
      { index: 1, reason: "invalid_reading" },
    ]);
  });

  it("loses only its bad elements", () => {
    const parsed = parse(
      `[{"value": 1, "timestamp": ${STORED_MS}}, {"value": "2"}, {"value": 3, "timestamp": ${STORED_MS - 1}}]`,
    );
    expect(parsed.readings.map((reading) => reading.value)).toEqual([1, 3]);
    expect(parsed.refusals).toEqual([{ index: 1, reason: "invalid_reading", detail: "value must be a finite number" }]);
  });

  it.each([
    ["{", "invalid_json"],
    ["NaN", "invalid_json"],
    ['{"value": 1e999}', "invalid_reading"],
    ['{"value": null}', "invalid_reading"],
    ["[]", "invalid_reading"],
    ["[[1]]", "invalid_reading"],
    ["7", "invalid_reading"],
    ['{"value": 1, "timestamp": "yesterday"}', "invalid_reading"],
    ['{"value": 1, "timestamp": "1999-12-31T23:59:59Z"}', "invalid_reading"],
    ['{"value": 1, "quality": "fine"}', "invalid_reading"],
    ['{"value": 1, "timestamp": "2026-11-23T07:05:00.001Z"}', "future_timestamp"],
  ])("%s is refused as %s", (text, reason) => {
    const { readings, refusals } = parse(text);
    expect(readings).toEqual([]);
    expect(refusals[0]?.reason).toBe(reason);
  });

  it("is refused whole where it is not UTF-8 or too large", () => {
    expect(parseMessage(Uint8Array.of(0x22, 0xff, 0x22), STORED_MS).refusals[0]?.reason).toBe("invalid_json");
    expect(parseMessage(new Uint8Array(1024 * 1024 + 1), STORED_MS).refusals[0]?.reason).toBe("too_large");
    const many = parse(JSON.stringify(Array.from({ length: 10_001 }, () => 0)));
    expect(many.refusals).toMatchObject([{ index: -1, reason: "too_large" }]);
    expect(many.published).toBe(10_001);
  });
});

describe("an instant", () => {
  it("is the same whether the one before was of its day or not", () => {
    for (const text of [
      "2026-11-23T07:00:00.123Z",
      "2026-11-23T23:59:59.999Z",
      "2028-02-29T00:00:00.000Z",
      "2028-02-29T12:34:56.789Z",
      "2026-11-23T07:00:00.000Z",
    ])
      expect(parseInstant(text)).toBe(Date.parse(text));
    expect(parseInstant("2026-11-23T07:00:00.000Z")).toBe(STORED_MS);
    for (const wrong of [
      "2026-11-23T24:00:00.000Z",
      "2026-11-23T07:60:00.000Z",
      "2026-11-23T07:00:61.000Z",
      "2026-11-23T07:00:00.0x0Z",
      "2026-11-23T07:00:00.00xZ",
      "2026-11-23 07:00:00.000Z",
      "2026-11-23T07-00:00.000Z",
    ])
      expect(parseInstant(wrong)).toBeNull();
  });

  it.each([
    ["2026-11-23T07:00:00Z", STORED_MS],
    ["2026-11-23T08:00+01:00", STORED_MS],
    ["2026-11-23T07:00:00.1239Z", STORED_MS + 123],
    ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
    ["2026-02-29T00:00:00Z", null],
    ["2026-11-23T07:00:00", null],
    ["2026-11-23", null],
    ["2026-13-01T00:00:00Z", null],
    ["2026-11-23T24:00:00Z", null],
  ])("%s", (text, expected) => expect(parseInstant(text)).toBe(expected));
});

it("too old is judged against the instant the message was stored", () => {
  const day = 86_400_000;
  const parsed = parse(
    `[{"value": 1, "timestamp": ${STORED_MS - 2 * day}}, 5, {"value": 2, "timestamp": ${STORED_MS}}]`,
  );
  const refused = refuseTooOld(parsed, STORED_MS, 1);
  expect(refused.readings.map((reading) => reading.value)).toEqual([2]);
  expect(refused.refusals.map(({ index, reason }) => [index, reason])).toEqual([
    [1, "invalid_reading"],
    [0, "too_old"],
  ]);
});

it("a reading of bad quality is a reading", () => {
  expect(readElement({ value: 1, timestamp: STORED_MS, quality: "bad" }, null)).toEqual({
    timestampMs: STORED_MS,
    value: 1,
    quality: "bad",
  });
});

it("a subject names its sensor where both tokens are sound", () => {
  expect(sensorOfSubject("readings.3.main.13")).toEqual({ site: "main", key: "13" });
  expect(sensorOfSubject("readings.3.mäin.13")).toBeNull();
});

it("writes an instant as a date does", () => {
  const instants = [
    0,
    1,
    59_999,
    60_000,
    STORED_MS,
    STORED_MS + 61_234,
    STORED_MS - 1,
    Date.UTC(9999, 11, 31, 23, 59, 59, 999),
  ];
  expect(instants.map(formatInstant)).toEqual(instants.map((ms) => new Date(ms).toISOString()));
  expect(() => formatInstant(NaN)).toThrow(RangeError);
});
