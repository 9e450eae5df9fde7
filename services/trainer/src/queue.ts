/** The work queue: each request goes to one trainer, and to another one if that does not finish. */
import { AckPolicy, type Consumer, type ConsumerMessages, type JsMsg } from "@nats-io/jetstream";
import { isBusTrouble, type Bus } from "@calibration/shared/bus.ts";
import { isDatabaseTrouble } from "@calibration/shared/database.ts";
import type { Log } from "@calibration/shared/log.ts";
import { MODEL_TYPES } from "@calibration/shared/model.ts";
import { streams } from "@calibration/shared/topology.ts";
import type { TrainingRequest } from "@calibration/shared/training.ts";
import { setTimeout as pause } from "node:timers/promises";

const CONSUMER = "trainers";
/** By which `/readyz` and the log name it. */
const PART = "training queue";
/** A trainer says that it is at work at a third of this; without a word the request goes to another. */
const WORD_MS_MAX = 30_000;
/** A request that four trainers have not finished, because it ended them or could not be kept, is given up by the fifth. */
const DELIVERIES_MAX = 5;
const RETRY_MS = 2_000;
const PENDING_MAX = 1_000;
/** How long one question for a request stands; then it is asked again. */
const ASK_MS = 30_000;

export interface Training extends AsyncDisposable {
  hears: string;
}

export async function openTraining(
  parts: {
    bus: Bus;
    log: Log;
    atOnce: number;
    /** After so long without an answer from the queue, or without a request though some wait, something is wrong. */
    stallMs: number;
    report(part: string, trouble: string | null): void;
  },
  answer: (request: TrainingRequest, givenUp: string | null) => Promise<void>,
): Promise<Training> {
  const { bus, log, atOnce, stallMs, report } = parts;
  await bus.manager.consumers.add(streams.training.name, {
    durable_name: CONSUMER,
    ack_policy: AckPolicy.Explicit,
    ack_wait: WORD_MS_MAX * 1e6,
    max_deliver: DELIVERIES_MAX,
    max_ack_pending: PENDING_MAX,
  });
  const consumer: Consumer = await bus.jetstream.consumers.get(streams.training.name, CONSUMER);
  let stopping = false;
  let readMs = performance.now();
  const asking = new Set<ConsumerMessages>();
  const working = Promise.all(Array.from({ length: atOnce }, work));
  return {
    hears: `${streams.training.name} as ${CONSUMER}`,
    async [Symbol.asyncDispose]() {
      stopping = true;
      await Promise.all([...asking].map((messages) => messages.close()));
      await working;
    },
  };

  async function work(): Promise<void> {
    while (!stopping) {
      try {
        let taken = 0;
        // One at a time: what this replica has not begun, another may take. To consume would hold the next one ready meanwhile.
        const messages = await consumer.fetch({ max_messages: 1, expires: ASK_MS });
        asking.add(messages);
        if (stopping) await messages.close();
        try {
          for await (const message of messages) {
            taken++;
            await handle(message);
          }
        } finally {
          asking.delete(messages);
        }
        // Nothing came: because nothing waits, or because it does not come.
        if (taken > 0 || (await consumer.info()).num_pending === 0) readMs = performance.now();
        if (performance.now() - readMs < stallMs) report(PART, null);
        else report(PART, `nothing was read for ${secondsUnread()} s, and requests wait`);
      } catch (error) {
        log.warn({ error }, "the queue is away");
        if (performance.now() - readMs >= stallMs)
          report(PART, `could not be read for ${secondsUnread()} s: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  function secondsUnread(): number {
    return Math.round((performance.now() - readMs) / 1000);
  }

  async function handle(message: JsMsg): Promise<void> {
    const request = requestOf(message);
    if (request === null) {
      log.error(
        { subject: message.subject, payload: message.string().slice(0, 200) },
        "a request for training is unreadable",
      );
      message.term("unreadable");
      return;
    }
    const beat = setInterval(() => message.working(), WORD_MS_MAX / 3);
    // Not answered at all, its job would be under way for ever.
    const isLast = message.info.deliveryCount >= DELIVERIES_MAX;
    const givenUp = isLast ? `Training was begun ${DELIVERIES_MAX - 1} times and never finished` : null;
    try {
      await answerAtLast(request, givenUp);
      message.ack();
    } catch (error) {
      log.warn({ error, sensorId: request.sensor_id, modelType: request.model_type }, "training will be tried again");
      message.nak(RETRY_MS);
    } finally {
      clearInterval(beat);
    }
  }

  /**
   * While PostgreSQL or NATS is away the request stays here. Handed back each time, it was delivered five times within ten
   * seconds and given up, and nobody ever answered it.
   */
  async function answerAtLast(request: TrainingRequest, givenUp: string | null): Promise<void> {
    for (;;) {
      try {
        await answer(request, givenUp);
        return;
      } catch (error) {
        if (stopping || !(isDatabaseTrouble(error) || isBusTrouble(error))) throw error;
        log.warn({ error, sensorId: request.sensor_id, modelType: request.model_type }, "training waits for a server");
        await pause(RETRY_MS);
      }
    }
  }
}

function requestOf(message: JsMsg): TrainingRequest | null {
  try {
    const request = message.json<TrainingRequest>();
    return Number.isInteger(request.sensor_id) &&
      MODEL_TYPES.includes(request.model_type) &&
      typeof request.job_id === "string"
      ? request
      : null;
  } catch {
    return null;
  }
}
