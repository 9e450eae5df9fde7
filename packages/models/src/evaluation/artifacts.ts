/**
 * One artifact of each kind, fitted on readings made by additions alone, so that no engine's sine or logarithm enters them: their digests
 * are the same wherever this runs, or a model came out differently there.
 */
import { createHash } from "node:crypto";
import { encodeArtifact } from "../artifact.ts";
import { encodeCalibrationModel, fitCalibration } from "../calibration-fit.ts";
import { encodeDriftModel, fitDriftModel } from "../drift-model.ts";
import { encodeIsolationForest, fitIsolationForest } from "../isolation-forest.ts";
import { createNovelty, encodeNovelty, updateNovelty } from "../novelty.ts";
import { createRandom } from "../random.ts";

const SEED = 42;
const READINGS = 3_000;
const HOURS = 400;
const CALIBRATIONS = 20;
const HOUR_MS = 3_600_000;
const THETA = 5.5;

/** SHA-256 of each kind's bytes, in hex. */
export function artifactDigests(): Record<"anomaly" | "drift" | "calibration" | "novelty", string> {
  const value = aSignal();
  const rows = new Float64Array(READINGS * 3);
  for (let i = 0; i < READINGS; i++) rows.set([value(i % 24), i % 24, Math.floor(i / 24) % 7], i * 3);
  const hourly = aSignal();
  const drift = fitDriftModel({
    timesMs: Float64Array.from({ length: HOURS }, (_, h) => h * HOUR_MS),
    values: Float64Array.from({ length: HOURS }, (_, h) => hourly(h % 24) + h / 100),
    cadence: "hour",
    baseline: 20,
    span: 10,
    hourOfDay: (timestampMs) => Math.floor(timestampMs / HOUR_MS) % 24,
  });
  const off = aSignal();
  const calibration = fitCalibration(
    Array.from({ length: CALIBRATIONS }, (_, i) => ({ raw: i, corrected: 1.1 * i - 2 + off(0) / 100 })),
  );
  const novelty = createNovelty();
  const judged = aSignal();
  for (let i = 0; i < READINGS; i++) updateNovelty(novelty, i * 300, judged(Math.floor(i / 12) % 24), THETA);
  return {
    anomaly: digestOf(encodeArtifact("anomaly", encodeIsolationForest(fitIsolationForest(rows)))),
    drift: digestOf(encodeArtifact("drift", encodeDriftModel(drift))),
    calibration: digestOf(encodeArtifact("calibration", encodeCalibrationModel(calibration))),
    novelty: digestOf(encodeNovelty(novelty)),
  };
}

/** A daily tooth and noise that is a sum of even numbers. */
function aSignal(): (hour: number) => number {
  const random = createRandom(SEED);
  return (hour) => 20 + Math.abs(hour - 12) / 4 + random.float() + random.float() + random.float();
}

const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
