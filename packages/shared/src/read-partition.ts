/**
 * One partition of READINGS in order from a sequence on, in batches, with bounded memory: an ordered consumer whose
 * requests ask for as many messages as fit a budget of bytes, by the size that messages have.
 */
import type { JsMsg } from "@nats-io/jetstream";
import { batches, type BatchLimits } from "./batches.ts";
import type { Bus } from "./bus.ts";
import { partitionSubjects, streams } from "./topology.ts";

/** What the client may hold of a partition beyond the batch that gathers, about. Sixteen partitions then hold 32 MB. */
const AHEAD_BYTES = 2 * 1024 ** 2;
const AHEAD_MESSAGES_MIN = 4;
const AHEAD_MESSAGES_MAX = 1_000;
/** Before the first message was seen: this many of any size that READINGS holds do no harm. */
const AHEAD_MESSAGES_FIRST = 32;
/**
 * So long without a request, and the server forgets the consumer of a process that was killed. The client's five minutes let
 * a service that is started again and again fill the stream's limit of consumers.
 */
const FORGOTTEN_MS = 30_000;
/** Requests are measured anew when they are off by this much. */
const MISFIT_RATIO = 4;

/** The subject, headers and the client's own object around a message. */
const MESSAGE_OVERHEAD_BYTES = 500;

/** How many messages of that size may be asked for at a time. */
export function messagesAhead(bytesPerMessage: number): number {
  const fit = Math.floor(AHEAD_BYTES / (bytesPerMessage + MESSAGE_OVERHEAD_BYTES));
  return Math.max(AHEAD_MESSAGES_MIN, Math.min(AHEAD_MESSAGES_MAX, fit));
}

export interface PartitionReading extends AsyncDisposable {
  /** Ends when it is told to, or when the stream's messages end. */
  batches(): AsyncGenerator<JsMsg[]>;
  /** How many messages the stream holds that have not been sent. */
  waiting(): Promise<number>;
  end(): void;
}

export async function openPartitionReading(
  bus: Pick<Bus, "jetstream">,
  parts: { partition: number; from: number; limits: BatchLimits; messagesMax(): number },
): Promise<PartitionReading> {
  let { from } = parts;
  let ahead = AHEAD_MESSAGES_FIRST;
  const open = async () => {
    const consumer = await bus.jetstream.consumers.get(streams.readings.name, {
      filter_subjects: partitionSubjects(parts.partition),
      opt_start_seq: from,
      deliver_policy: "by_start_sequence",
      inactive_threshold: FORGOTTEN_MS,
    });
    return { consumer, messages: await consumer.consume({ max_messages: ahead }) };
  };
  const close = async ({ consumer, messages }: Awaited<ReturnType<typeof open>>) => {
    // Not awaited: the client calls them closed only once somebody has read them to their end, and who stopped does not.
    void messages.close();
    await consumer.delete().catch(() => undefined);
  };
  let current = await open();
  let ended = false;

  return {
    async waiting() {
      const info = await current.consumer.info();
      return info.num_pending + info.num_ack_pending;
    },
    async *batches() {
      for (;;) {
        const fitting = yield* readWhileFitting();
        if (ended || fitting === ahead) return;
        const misfit = current;
        ahead = fitting;
        current = await open();
        await close(misfit);
        if (ended) return;
      }
    },
    end() {
      ended = true;
      void current.messages.close();
    },
    [Symbol.asyncDispose]: () => close(current),
  };

  /** Returns how many messages should be asked for at a time; the same as now when the messages have ended. */
  async function* readWhileFitting(): AsyncGenerator<JsMsg[], number> {
    for await (const batch of batches(current.messages, parts.limits, parts.messagesMax)) {
      yield batch;
      if (ended) break;
      from = batch.at(-1)!.seq + 1;
      const fitting = messagesAhead(batch.reduce((sum, { data }) => sum + data.length, 0) / batch.length);
      const misfit = Math.max(fitting / ahead, ahead / fitting);
      // A single message says little of the size that others have, unless it is much larger than was thought.
      if (misfit >= MISFIT_RATIO && (fitting < ahead || batch.length >= ahead / 2)) return fitting;
    }
    return ahead;
  }
}
