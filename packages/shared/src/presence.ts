/**
 * Who shares a service's partitions: each replica says on NATS that it is there, and partition p belongs to the
 * (p mod n)-th of the live ones. This is for fairness and speed only; that nothing is decided twice is the work of the
 * compare-and-set on the position.
 */
import { randomBytes } from "node:crypto";
import type { Bus } from "./bus.ts";
import { subjects } from "./topology.ts";

const BEAT_MS = 400;
/** A replica not heard for this long is dead: three beats and a little. */
export const DEAD_MS = 1_500;
/** Not to hear oneself may be a busy server; for this long it means to be cut off from NATS, and then nothing is owned. */
const CUT_OFF_MS = 5_000;

export interface Presence extends AsyncDisposable {
  replica: string;
  /** The live replicas, this one among them, in the order all of them agree on. */
  replicas(): readonly string[];
  owns(partition: number): boolean;
  /** Calls back whenever the live replicas changed. */
  onChange(listener: () => void): void;
}

interface Beat {
  replica: string;
  leaving?: boolean;
}

/** @param isAble says whether this replica can work at all; while it cannot, it leaves its share to the others */
export async function openPresence(
  bus: Pick<Bus, "connection">,
  service: string,
  isAble: () => boolean = () => true,
): Promise<Presence> {
  const replica = randomBytes(8).toString("hex");
  const subject = subjects.presence(service);
  const heard = new Map<string, number>();
  const listeners: (() => void)[] = [];
  let live: readonly string[] = [];

  const expire = (now: number) => {
    for (const [other, at] of heard) if (now - at > (other === replica ? CUT_OFF_MS : DEAD_MS)) heard.delete(other);
  };
  const reckon = () => {
    const next = [...heard.keys()].toSorted();
    if (next.join() === live.join()) return;
    live = next;
    for (const listener of listeners) listener();
  };

  const subscription = bus.connection.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return;
      const beat = message.json<Beat>();
      if (beat.leaving === true) heard.delete(beat.replica);
      else heard.set(beat.replica, performance.now());
      reckon();
    },
  });
  const beat = (leaving = false) => {
    if (!bus.connection.isClosed())
      bus.connection.publish(subject, JSON.stringify({ replica, leaving } satisfies Beat));
  };
  beat();
  let lookedAt = performance.now();
  let stoodBack = false;
  const beating = setInterval(() => {
    const now = performance.now();
    // While this process stood still it heard nobody: that time says nothing about the others.
    const stoodStillMs = now - lookedAt - BEAT_MS;
    if (stoodStillMs > BEAT_MS) for (const [other, at] of heard) heard.set(other, at + stoodStillMs);
    lookedAt = now;
    const able = isAble();
    // One that cannot reach PostgreSQL would only hold its partitions back.
    if (!able) heard.delete(replica);
    if (able || !stoodBack) beat(!able);
    stoodBack = !able;
    expire(now);
    reckon();
  }, BEAT_MS);
  // One beat's time to hear the others, lest a newcomer take everything for a moment.
  await new Promise((resolve) => setTimeout(resolve, BEAT_MS + 100));

  return {
    replica,
    replicas: () => live,
    owns: (partition) => live.length > 0 && live[partition % live.length] === replica,
    onChange: (listener) => void listeners.push(listener),
    async [Symbol.asyncDispose]() {
      clearInterval(beating);
      subscription.unsubscribe();
      beat(true);
      if (!bus.connection.isClosed()) await bus.connection.flush().catch(() => undefined);
    },
  };
}
