import { describe, expect, it } from "vitest";
import { ARTIFACT_FORMAT_VERSION, ArtifactError, crc32, decodeArtifact, encodeArtifact } from "./artifact.ts";

const payload = Uint8Array.from({ length: 300 }, (_, at) => (at * 7) & 255);

function problemOf(read: () => unknown): ArtifactError {
  try {
    read();
  } catch (error) {
    if (error instanceof ArtifactError) return error;
    throw error;
  }
  throw new Error("the artifact was believed");
}

describe("an artifact", () => {
  it("carries its payload there and back", () => {
    expect(encodeArtifact("drift", new Uint8Array([1, 2, 3])).length).toBe(19);
    expect(decodeArtifact("anomaly", encodeArtifact("anomaly", payload))).toEqual(payload);
  });

  it("is read where it lies in a larger buffer, as a row from a database does", () => {
    const bytes = encodeArtifact("calibration", payload);
    const larger = new Uint8Array(bytes.length + 11);
    larger.set(bytes, 5);
    expect(decodeArtifact("calibration", larger.subarray(5, 5 + bytes.length))).toEqual(payload);
  });

  it("uses the CRC-32 of zip and PNG", () => {
    expect(crc32(new TextEncoder().encode("123456789")).toString(16)).toBe("cbf43926");
  });

  it("is refused as damaged for any single flipped bit outside the version", () => {
    const bytes = encodeArtifact("anomaly", payload.subarray(0, 20));
    for (let at = 0; at < bytes.length; at++) {
      if (at === 4) continue;
      for (let bit = 0; bit < 8; bit++) {
        const flipped = bytes.slice();
        flipped[at]! ^= 1 << bit;
        expect(problemOf(() => decodeArtifact("anomaly", flipped)).code, `byte ${at} bit ${bit}`).toBe("model_damaged");
      }
    }
  });

  it("is refused as damaged when it is cut short, lengthened, empty or of another kind", () => {
    const bytes = encodeArtifact("anomaly", payload);
    for (const wrong of [
      bytes.subarray(0, 100),
      bytes.subarray(0, 7),
      new Uint8Array(0),
      new Uint8Array([...bytes, 0]),
    ]) {
      expect(problemOf(() => decodeArtifact("anomaly", wrong)).code).toBe("model_damaged");
    }
    expect(problemOf(() => decodeArtifact("drift", bytes)).message).toContain("another kind");
  });

  it("is refused as incompatible when its format is of another time", () => {
    const newer = encodeArtifact("anomaly", payload);
    newer[4] = ARTIFACT_FORMAT_VERSION + 1;
    const problem = problemOf(() => decodeArtifact("anomaly", newer));
    expect(problem.code).toBe("model_incompatible");
    expect(problem.message).toContain("format 2");
  });
});
