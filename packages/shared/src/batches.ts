/**
 * What is there now, in order. While one batch is worked on the next gathers, within bounds: a service that falls behind
 * takes larger batches until they are full, and then NATS waits for it.
 *
 * The client's own count of what waits (`getPending`) is not asked: once it has counted a pull request among the messages,
 * it stays one too high, and the last message would wait for the next.
 */

export interface BatchLimits {
  messages: number;
  bytes: number;
}

export async function* batches<M extends { data: Uint8Array }>(
  messages: AsyncIterable<M>,
  limits: BatchLimits,
  messagesMax: () => number = () => limits.messages,
): AsyncGenerator<M[]> {
  const waiting: M[] = [];
  let bytes = 0;
  let ended = false;
  let failure: { error: unknown } | null = null;
  let arrived = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();

  const gathering = (async () => {
    try {
      for await (const message of messages) {
        waiting.push(message);
        bytes += message.data.length;
        arrived.resolve();
        while (!ended && (waiting.length >= limits.messages || bytes >= limits.bytes)) {
          room = Promise.withResolvers();
          await room.promise;
        }
        if (ended) break;
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    arrived.resolve();
  })();

  try {
    for (;;) {
      while (waiting.length === 0 && !ended) {
        arrived = Promise.withResolvers();
        await arrived.promise;
        // What came in the same breath as the first belongs to it.
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (waiting.length === 0) break;
      const batch = take(messagesMax());
      room.resolve();
      yield batch;
    }
    if (failure !== null) throw (failure as { error: unknown }).error;
  } finally {
    ended = true;
    room.resolve();
    // Whoever stopped taking closes the messages; what gathers them ends then.
    void gathering;
  }

  function take(countMax: number): M[] {
    let count = 0;
    let taken = 0;
    while (count < waiting.length && count < countMax && taken < limits.bytes) taken += waiting[count++]!.data.length;
    bytes -= taken;
    return waiting.splice(0, count);
  }
}
