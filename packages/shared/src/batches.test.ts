import { expect, it } from "vitest";
import { batches } from "./batches.ts";

const LIMITS = { messages: 3, bytes: 100 };
const message = (size = 1) => ({ data: new Uint8Array(size) });

/** A source that is fed by hand and tells how many were taken from it. */
function source() {
  const held: { data: Uint8Array }[] = [];
  let wake = Promise.withResolvers<void>();
  let ended = false;
  let taken = 0;
  return {
    say(...more: { data: Uint8Array }[]) {
      held.push(...more);
      wake.resolve();
    },
    end() {
      ended = true;
      wake.resolve();
    },
    taken: () => taken,
    async *[Symbol.asyncIterator]() {
      for (;;) {
        while (held.length === 0 && !ended) {
          wake = Promise.withResolvers();
          await wake.promise;
        }
        if (held.length === 0) return;
        taken++;
        yield held.shift()!;
      }
    },
  };
}

it("gives what is there without waiting for more", async () => {
  const from = source();
  const taking = batches(from, LIMITS);
  from.say(message(), message());
  expect((await taking.next()).value).toHaveLength(2);
  from.say(message());
  expect((await taking.next()).value).toHaveLength(1);
  from.end();
  expect((await taking.next()).done).toBe(true);
});

it("gathers the next batch meanwhile, and no more than one", async () => {
  const from = source();
  const taking = batches(from, LIMITS);
  from.say(...Array.from({ length: 10 }, () => message()));
  expect((await taking.next()).value).toHaveLength(3);
  await expect.poll(() => from.taken()).toBe(6);
  expect((await taking.next()).value).toHaveLength(3);
  await taking.return(undefined);
});

it("ends a batch at its bytes, and takes a message that is larger than that by itself", async () => {
  const from = source();
  const taking = batches(from, LIMITS);
  from.say(message(60), message(60), message(500), message(1));
  from.end();
  const sizes: number[][] = [];
  for await (const batch of taking) sizes.push(batch.map(({ data }) => data.length));
  expect(sizes).toEqual([[60, 60], [500], [1]]);
});

it("gives up what waits when the messages fail, after it was worked on", async () => {
  const failing = (async function* () {
    yield message();
    throw new Error("the server is gone");
  })();
  const taking = batches(failing, LIMITS);
  expect((await taking.next()).value).toHaveLength(1);
  await expect(taking.next()).rejects.toThrow("the server is gone");
});
