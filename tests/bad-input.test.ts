/**
 * What comes in by any door, whatever it is, is read without an error of ours: each reading that a payload claims to carry
 * comes out as one or is refused, each row of a file is a reading or a problem, and a damaged artifact is never believed.
 */
import { ArtifactError, decodeArtifact, encodeArtifact } from "@calibration/models/artifact.ts";
import {
  decodeIsolationForest,
  encodeIsolationForest,
  fitIsolationForest,
  scoreReading,
  type IsolationForest,
} from "@calibration/models/isolation-forest.ts";
import { createRandom } from "@calibration/models/random.ts";
import { parseMessage } from "@calibration/shared/reading.ts";
import fc from "fast-check";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { csvReadings, type CsvProblem, type CsvReading } from "../scripts/local/csv.ts";
import { strangePayload, strangeString } from "./support/strange.ts";

const CASES = Number(process.env["CHAOS_CASES"] ?? 2_000);
/** A file a case, or a model a case, costs a hundred payloads. */
const COSTLY_CASES = Math.ceil(CASES / 20);
/** 200 MB in the long form. */
const LARGE_MEGABYTES = process.env["CHAOS_CASES"] === undefined ? 20 : 200;
const GROWTH_MEGABYTES_MAX = 60;
const MEGABYTE = 1024 ** 2;
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

it("each row of a strange file is a reading or a problem with its line, or the file is refused as none", async () => {
  const directory = mkdtempSync(join(tmpdir(), "strange-"));
  const file = join(directory, "series.csv");
  const cell = fc.oneof(
    strangeString,
    fc.constantFrom("2026-01-01T00:00:00Z", "1767225600", "21.5", '"', '"a', 'b"c', ""),
  );
  const text = fc
    .tuple(
      fc.constantFrom("timestamp,value", "\uFEFFtimestamp,value", "value,note,timestamp", "timestamp", ""),
      fc.array(fc.array(cell, { maxLength: 4 }), { maxLength: 12 }),
      fc.constantFrom("\n", "\r\n", "\r"),
    )
    .map(([header, rows, end]) => [header, ...rows.map((cells) => cells.join(","))].join(end));
  try {
    await fc.assert(
      fc.asyncProperty(text, async (written) => {
        writeFileSync(file, written);
        const rows: (CsvReading | CsvProblem)[] = [];
        let refused = "";
        try {
          for await (const row of csvReadings(file, { timestamp: "timestamp", value: "value" }, Date.now()))
            rows.push(row);
        } catch (error) {
          refused = (error as Error).message;
        }
        // The header lacks a column, or the quotes do not add up: said in words, by the reader of the file.
        expect(refused).toMatch(/^$|has no columns|Quote|quote|Invalid|Max Record Size/);
        expect(
          rows.filter((row) =>
            "problem" in row
              ? !/^line \d+: /.test(row.problem)
              : !(Number.isFinite(row.timestamp) && Number.isFinite(row.value)),
          ),
        ).toEqual([]);
      }),
      { numRuns: COSTLY_CASES },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it("a file takes the same memory whatever its size", () => {
  const directory = mkdtempSync(join(tmpdir(), "large-"));
  const peakOf = (megabytes: number): { rows: number; peak: number } => {
    const file = join(directory, `${megabytes}.csv`);
    const lines = Array.from({ length: 30_000 }, (_, n) => `"2026-01-01T00:00:00.000Z",${n / 7},"a note, quoted"\r\n`);
    const block = lines.join("");
    writeFileSync(file, "\uFEFFtimestamp,value,note\r\n");
    for (let written = 0; written < megabytes * MEGABYTE; written += block.length) appendFileSync(file, block);
    const source = `
      const { csvReadings } = await import(${JSON.stringify(new URL("../scripts/local/csv.ts", import.meta.url).href)});
      let rows = 0;
      for await (const row of csvReadings(${JSON.stringify(file)}, { timestamp: "timestamp", value: "value" })) rows += "value" in row ? 1 : NaN;
      console.log(JSON.stringify({ rows, peak: process.resourceUsage().maxRSS / 1024 }));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
      encoding: "utf8",
    });
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as { rows: number; peak: number };
  };
  try {
    const small = peakOf(LARGE_MEGABYTES / 10);
    const large = peakOf(LARGE_MEGABYTES);
    expect(large.rows).toBeGreaterThan(5 * small.rows);
    // The collector takes its time: what is read ten times as long may leave a little more lying about.
    expect(large.peak - small.peak).toBeLessThan(GROWTH_MEGABYTES_MAX);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it("an artifact with any byte changed, cut off or added is refused; a forest behind a good checksum adds up or is refused", () => {
  const random = createRandom(1);
  const rows = Float64Array.from({ length: 3 * 300 }, (_, n) => (n % 3 === 0 ? 20 + random.normal() : n % 24));
  const payload = encodeIsolationForest(fitIsolationForest(rows, { trees: 10 }));
  const artifact = encodeArtifact("anomaly", payload);
  const changed = (bytes: Uint8Array, at: number, by: number): Uint8Array => {
    const other = bytes.slice();
    other[at % bytes.length]! ^= by;
    return other;
  };
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat({ max: artifact.length - 1 }), (at, by, length) => {
      for (const damaged of [
        changed(artifact, at, by),
        artifact.slice(0, length),
        Uint8Array.from([...artifact, by]),
      ]) {
        expect(() => decodeArtifact("anomaly", damaged)).toThrow(ArtifactError);
      }
      // As if it had been damaged before its checksum was taken.
      const read = attempted(() => decodeIsolationForest(changed(payload, at, by)));
      expect(read instanceof RangeError || typeof scoreReading(read as IsolationForest, 20, 3, 1)).toBeOneOf([
        true,
        "number",
      ]);
    }),
    { numRuns: COSTLY_CASES },
  );
});

function attempted<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}
