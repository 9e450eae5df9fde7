/**
 * Fits and back-tests run in threads of their own: a model takes seconds, in which the service still says that it is at
 * work and answers whoever looks at it. A thread fits one model at a time and keeps it until it is let go, for the
 * comparison with the model in force.
 */
import { Worker } from "node:worker_threads";
import type { Comparison } from "./core/compare.ts";
import type { FitTask, Trained } from "./core/train.ts";

/** A model as it left its thread. Dispose of it, and the thread is free again. */
export interface Fitted extends Disposable, Omit<Trained, "data" | "compareWith"> {
  /** How many rows it was fitted on, and the digest of them. */
  rows: number;
  dataSha256: string;
  /** Against the model in force; `unreadable` where its bytes are none of this code's. */
  compareWith(inForce: Uint8Array, inForceToMs: number): Promise<Comparison | "unreadable">;
}

export type Question = { fit: FitTask } | { compareWith: Uint8Array; inForceToMs: number };
export type FitAnswer = Pick<Fitted, Exclude<keyof Fitted, "compareWith" | typeof Symbol.dispose>>;
export type Answer = { fitted: FitAnswer } | { comparison: Comparison | "unreadable" } | { error: string };

export interface Fitting extends AsyncDisposable {
  /** Waits for a free thread. @throws Error where the fit fails, or its thread ends */
  fit(task: FitTask): Promise<Fitted>;
}

export function openFitting(threads: number): Fitting {
  const idle: (Thread | null)[] = Array.from({ length: threads }, () => null);
  const waiting: ((thread: Thread | null) => void)[] = [];
  const running = new Set<Thread>();

  const take = async (): Promise<Thread> => {
    const free = idle.length > 0 ? idle.pop()! : await new Promise<Thread | null>((resolve) => waiting.push(resolve));
    // One that ended, of a model too large for it, is made anew.
    if (free?.isAlive() === true) return free;
    if (free !== null) running.delete(free);
    const fresh = startThread();
    running.add(fresh);
    return fresh;
  };
  const giveBack = (thread: Thread): void => {
    const next = waiting.shift();
    if (next === undefined) idle.push(thread);
    else next(thread);
  };

  return {
    async fit(task) {
      const thread = await take();
      try {
        const answer = await thread.ask({ fit: task }, buffersOf(task));
        if (!("fitted" in answer)) throw new Error("the thread answered something else");
        return {
          ...answer.fitted,
          async compareWith(inForce, inForceToMs) {
            const bytes = new Uint8Array(inForce);
            const compared = await thread.ask({ compareWith: bytes, inForceToMs }, [bytes.buffer]);
            if (!("comparison" in compared)) throw new Error("the thread answered something else");
            return compared.comparison;
          },
          [Symbol.dispose]: () => giveBack(thread),
        };
      } catch (error) {
        giveBack(thread);
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((thread) => thread.stop()));
    },
  };
}

interface Thread {
  isAlive(): boolean;
  ask(question: Question, transferred: readonly ArrayBuffer[]): Promise<Answer>;
  stop(): Promise<unknown>;
}

function startThread(): Thread {
  const worker = new Worker(new URL("fitting-thread.ts", import.meta.url));
  let alive = true;
  let asked: PromiseWithResolvers<Answer> | null = null;
  const settle = (end: (asked: PromiseWithResolvers<Answer>) => void): void => {
    if (asked !== null) end(asked);
    asked = null;
  };
  worker.on("message", (answer: Answer) =>
    settle(({ resolve, reject }) => ("error" in answer ? reject(new Error(answer.error)) : resolve(answer))),
  );
  worker.on("error", (error) => {
    alive = false;
    settle(({ reject }) => reject(error));
  });
  worker.on("exit", () => {
    alive = false;
    settle(({ reject }) => reject(new Error("the thread that fits has ended")));
  });
  return {
    isAlive: () => alive,
    ask(question, transferred) {
      if (!alive) return Promise.reject(new Error("the thread that fits has ended"));
      asked = Promise.withResolvers<Answer>();
      worker.postMessage(question, transferred);
      return asked.promise;
    },
    stop: () => worker.terminate(),
  };
}

/** Handed over, not copied: the readings are the thread's from then on. */
const buffersOf = (task: FitTask): ArrayBuffer[] =>
  task.type === "calibration"
    ? []
    : [task.series.timesMs, task.series.values, ...(task.type === "drift" ? [task.counts] : [])].map(
        ({ buffer }) => buffer as ArrayBuffer,
      );
