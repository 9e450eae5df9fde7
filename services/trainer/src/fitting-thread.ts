/** The thread that fits, and compares what it has fitted: arithmetic only, asked and answered by messages. */
import { ArtifactError } from "@calibration/models/artifact.ts";
import { createHash } from "node:crypto";
import { parentPort } from "node:worker_threads";
import { train, type FitTask, type Trained } from "./core/train.ts";
import type { Answer, FitAnswer, Question } from "./fitting.ts";

let trained: Trained | null = null;

parentPort!.on("message", (question: Question) => {
  const answer = answerOf(question);
  // Its memory belongs to this answer alone, so it is handed over.
  parentPort!.postMessage(answer, "fitted" in answer ? [answer.fitted.artifact.buffer as ArrayBuffer] : []);
});

function answerOf(question: Question): Answer {
  try {
    return "fit" in question
      ? { fitted: fit(question.fit) }
      : { comparison: compare(question.compareWith, question.inForceToMs) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function fit(task: FitTask): FitAnswer {
  // The one before it goes first: two of them need not fit into memory.
  trained = null;
  trained = train(task);
  const { data, compareWith: _, ...model } = trained;
  const digest = createHash("sha256");
  for (const column of data) digest.update(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
  return {
    ...model,
    artifact: Uint8Array.from(model.artifact),
    rows: data[0]?.length ?? 0,
    dataSha256: digest.digest("hex"),
  };
}

function compare(inForce: Uint8Array, inForceToMs: number) {
  try {
    return trained!.compareWith(inForce, inForceToMs);
  } catch (error) {
    if (error instanceof ArtifactError || error instanceof RangeError || error instanceof SyntaxError)
      return "unreadable" as const;
    throw error;
  }
}
