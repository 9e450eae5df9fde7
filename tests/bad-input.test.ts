/** What a plant may send, whatever it is, is read without an error, and every reading it claims to carry comes out as one or is refused. */
import { parseMessage } from "@calibration/shared/reading.ts";
import fc from "fast-check";
import { expect, it } from "vitest";
import { strangePayload } from "./support/strange.ts";

const CASES = Number(process.env["CHAOS_CASES"] ?? 2_000);
const STORED_MS = Date.UTC(2026, 0, 2);

it("a payload never throws, and nothing in it is dropped silently", () => {
  fc.assert(
    fc.property(strangePayload, (payload) => {
      const parsed = parseMessage(payload, STORED_MS);
      const refusedWhole = parsed.refusals[0]?.index === -1;
      expect(parsed.readings.length + parsed.refusals.length).toBe(refusedWhole ? 1 : parsed.published);
      for (const { value, timestampMs } of parsed.readings) {
        expect(Number.isFinite(value)).toBe(true);
        expect(Number.isInteger(timestampMs)).toBe(true);
        expect(new Date(timestampMs).getTime()).toBe(timestampMs);
      }
    }),
    { numRuns: CASES },
  );
});

it("more than ten thousand, or more than a mebibyte, is told off whole", () => {
  const many = new TextEncoder().encode(JSON.stringify(Array.from({ length: 10_001 }, () => ({ value: 1 }))));
  expect(parseMessage(many, STORED_MS)).toMatchObject({ published: 10_001, refusals: [{ reason: "too_large" }] });
  const long = new TextEncoder().encode(`{"value": 1, "note": "${"x".repeat(1024 * 1024)}"}`);
  expect(parseMessage(long, STORED_MS)).toMatchObject({ refusals: [{ reason: "too_large" }] });
});
