/**
 * Hearing READINGS: the partitions this replica owns, each read in order from the position that stands in PostgreSQL,
 * in batches; what a batch came to is kept with the new position in one transaction, then told.
 *
 *   take a batch ─▶ decide ─▶ [ position still ours? · keep · new position ] ─▶ tell ─▶ told
 *
 * A crash anywhere leaves the position where the facts are. Nobody acknowledges anything and nothing is decided twice;
 * a second owner by mistake finds another position than it read, and stops.
 */
import type { JsMsg } from "@nats-io/jetstream";
import type pg from "pg";
import type { Bus, Telling } from "./bus.ts";
import { isBusTrouble, readingsStream, say } from "./bus.ts";
import { TRACEPARENT_HEADER, traceparentOf } from "./trace.ts";
import { deadLetterTelling, keepableText, type DeadLetter } from "./dead-letters.ts";
import { isDatabaseTrouble, type Database } from "./database.ts";
import { createKeeping, type Keep, type Outcome, type Work } from "./keep-together.ts";
import type { Log } from "./log.ts";
import { count, type Counts, type StreamMetrics } from "./metrics.ts";
import { countAttempt, findPosition, forgiveAttempt, markTold, PositionLost, type Position } from "./positions.ts";
import type { Presence } from "./presence.ts";
import { parseMessage, sensorOfSubject } from "./reading.ts";
import { openPartitionReading, type PartitionReading } from "./read-partition.ts";
import { regularly } from "./regularly.ts";
import { publishedSubject, streams } from "./topology.ts";
import { createTurns, type Turns } from "./turns.ts";

/** A batch is what is there now, but not more than this: about 5000 readings of 117 bytes. */
export const BATCH_MESSAGES_MAX = 1_000;
export const BATCH_BYTES_MAX = 600_000;
/** After this many beginnings without an end, a batch is taken one message at a time. */
const ATTEMPTS_IN_BATCHES = 3;
/** And the message that is then still first is given up as a dead letter. */
const ATTEMPTS_MAX = 6;
/** A batch that failed held no more messages: after so many that were kept one at a time, it was not these. */
const ONE_BY_ONE_MAX = BATCH_MESSAGES_MAX;
const TRACES_LOGGED_MAX = 20;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 5_000;
const LOOK_AT_STREAM_MS = 5_000;

/** A message of the log, in its partition's order. */
export interface Heard {
  sequence: number;
  subject: string;
  /** The instant NATS stored it: the only "now" a decision may use. */
  storedMs: number;
  payload: Uint8Array;
  traceparent: string | null;
}

export interface Batch {
  partition: number;
  streamCreated: string;
  messages: readonly Heard[];
  lastSequence: number;
}

export interface Kept {
  tell: readonly Telling[];
  /**
   * Where `retell` can make `tell` again from the log: of which messages. Written down with the position in its place, for
   * CORRECTED's messages are as large as the readings themselves.
   */
  tellsOf?: readonly number[];
  counts?: Counts;
  /** The large state was written too, so a take-over need not read from further back. */
  snapshot?: boolean;
}

/** One partition while this replica owns it. It is dropped and opened anew after any failure, so its state may be kept in memory. */
export interface PartitionHandler<Decided> {
  /** Reads what it needs and decides; `keep` writes it, together with what other partitions have decided. */
  decide(batch: Batch): Promise<Decided>;
  /** Folds messages kept earlier into the large state, without deciding or writing. */
  refold?(batch: Batch): Promise<void>;
  /** Makes again what was to be told of those messages of the log, which are kept. */
  retell?(batch: Batch): Promise<readonly Telling[]>;
  /** After the commit. */
  committed?(): void;
}

export interface Hearing extends AsyncDisposable {
  hears: string;
  partitionsOwned(): number[];
}

export interface HearingParts<Decided> {
  service: string;
  bus: Bus;
  database: Database;
  presence: Presence;
  metrics: StreamMetrics;
  log: Log;
  report(part: string, trouble: string | null): void;
  /** After so long without a message, or without a batch's end, though something waits, something is wrong. */
  stallMs: number;
  open(partition: number, position: Position): Promise<PartitionHandler<Decided>>;
  keep: Keep<Decided>;
  /** Called for a partition this replica gives up or loses. */
  dropped?(partition: number): void;
}

/** What a decision rests on is not there yet: the batch is begun again, and is not to blame. */
export class NotYet extends Error {}

export async function openHearing<Decided>(parts: HearingParts<Decided>): Promise<Hearing> {
  const { bus, presence, log, service } = parts;
  let stream = await readingsStream(bus);
  const running = new Map<number, { stop: AbortController; done: Promise<void> }>();
  const readings: Readings = new Set();
  const { pool } = parts.database;
  const shared: Shared<Decided> = {
    ...parts,
    readings,
    turns: createTurns(),
    keepTogether: createKeeping({ pool, service, keep: parts.keep }),
    giveUp: createKeeping({ pool, service, keep: keepGivenUp(service) }),
  };
  let closed = false;

  const reconcile = () => {
    for (let partition = 0; partition < stream.partitions; partition++) {
      const owned = !closed && presence.owns(partition);
      const current = running.get(partition);
      if (owned && current === undefined) {
        const stop = new AbortController();
        parts.metrics.owned(partition);
        const done = runPartition(shared, partition, stop.signal).finally(() => {
          running.delete(partition);
          parts.metrics.released(partition);
          if (!closed) reconcile();
        });
        running.set(partition, { stop, done });
      } else if (!owned && current !== undefined) current.stop.abort();
    }
    for (const [partition, { stop }] of running) if (partition >= stream.partitions) stop.abort();
  };
  presence.onChange(() => {
    log.info({ replicas: presence.replicas().length }, "replicas changed");
    reconcile();
  });
  reconcile();
  void readAnewAfterBreaks(bus, readings);
  // In a stream that was made anew a consumer waits for a sequence that may be years away, and nothing seems to be wrong.
  const lookAtStream = async () => {
    const found = await readingsStream(bus);
    if (found.created === stream.created) return;
    log.warn({ created: found.created, before: stream.created }, "the stream was made anew");
    stream = found;
    reconcile();
    for (const readAnew of readings) readAnew();
  };
  // Where it does not answer, the service's watch says so.
  const looking = regularly(LOOK_AT_STREAM_MS, lookAtStream, () => undefined);

  return {
    hears: `${streams.readings.name}, ${stream.partitions} partitions, for ${service}`,
    partitionsOwned: () => [...running.keys()],
    async [Symbol.asyncDispose]() {
      closed = true;
      await looking[Symbol.asyncDispose]();
      for (const { stop } of running.values()) stop.abort();
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

/** What makes each open partition ask for its messages anew. */
type Readings = Set<() => void>;

/** What the partitions of one replica share. */
interface Shared<Decided> extends HearingParts<Decided> {
  readings: Readings;
  turns: Turns;
  keepTogether(work: Work<Decided>): Promise<Outcome>;
  giveUp(work: Work<null>): Promise<Outcome>;
}

/**
 * After a break the client asks for its consumer once, and where a server that has just started answers that it is not
 * ready, again only half a minute later. Opening the partition anew has no such pause.
 */
async function readAnewAfterBreaks(bus: Pick<Bus, "connection">, readings: Readings): Promise<void> {
  for await (const status of bus.connection.status()) {
    if (status.type === "reconnect") for (const readAnew of readings) readAnew();
  }
}

async function runPartition<Decided>(parts: Shared<Decided>, partition: number, stop: AbortSignal): Promise<void> {
  const { log, service } = parts;
  const part = `partition ${partition}`;
  let pauseMs = RETRY_MS_MIN;
  while (!stop.aborted) {
    try {
      await ownPartition(parts, partition, stop, () => {
        pauseMs = RETRY_MS_MIN;
        parts.report(part, null);
      });
    } catch (error) {
      if (stop.aborted) break;
      const lost = error instanceof PositionLost;
      log[lost ? "info" : "warn"]({ partition, error, service }, "partition will be opened again");
      if (!lost) parts.report(part, (error as Error).message);
      await sleep(pauseMs, stop);
      pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX);
    }
  }
  parts.report(part, null);
  parts.dropped?.(partition);
}

async function ownPartition<Decided>(
  parts: Shared<Decided>,
  partition: number,
  stop: AbortSignal,
  working: () => void,
): Promise<void> {
  const { bus, database, service, log, metrics, readings, turns } = parts;
  const stream = await readingsStream(bus);
  const begun = await findPosition(bus, database.pool, service, partition, stream);
  const tellAgain = async (tellings: readonly Telling[]) => {
    await say(bus, tellings);
    log.info({ partition, facts: tellings.length }, "told what may not have been told");
  };
  const { untold } = begun;
  const untoldOf = new Set("tellsOf" in untold ? untold.tellsOf : []);
  if (!("tellsOf" in untold) && untold.length > 0) await tellAgain(untold);
  let kept = begun.kept;
  if (!begun.fresh && kept + 1 < stream.firstSequence && kept > 0 && begun.attempts === 0) {
    metrics.expired();
    log.warn(
      { partition, position: kept, firstSequence: stream.firstSequence },
      "the stream begins after the position",
    );
  }
  const handler = await parts.open(partition, { kept, snapshot: begun.snapshot });

  const from = Math.min(
    kept,
    handler.refold === undefined ? kept : begun.snapshot,
    ...[...untoldOf].map((one) => one - 1),
  );
  let oneByOne = begun.attempts >= ATTEMPTS_IN_BATCHES;
  let keptOneByOne = 0;
  const reading = await openPartitionReading(bus, {
    partition,
    from: from + 1,
    limits: { messages: BATCH_MESSAGES_MAX, bytes: BATCH_BYTES_MAX },
    messagesMax: () => (oneByOne ? 1 : BATCH_MESSAGES_MAX),
  });
  const quit = () => reading.end();
  stop.addEventListener("abort", quit, { once: true });
  if (stop.aborted) quit();
  readings.add(quit);
  const stall = openStallWatch(parts, partition, reading);

  let { counters } = begun;
  let attempts: number | null = null;
  let endTurn = (): void => undefined;
  let telling: Promise<void> = Promise.resolve();
  const workOf = (batch: Batch) => ({
    batch,
    kept,
    counters,
    bytes: batch.messages.reduce((sum, { payload }) => sum + payload.length, 0),
  });
  const deciding = async (batch: Batch, alone: boolean) => {
    const decided = await handler.decide(batch);
    return () => parts.keepTogether({ ...workOf(batch), alone, decided });
  };
  const givingUp = (batch: Batch) => () => parts.giveUp({ ...workOf(batch), alone: true, decided: null });
  try {
    // Where nothing waits there is nothing to show for it; else the first batch that is kept shows that it works.
    if ((await reading.waiting()) === 0) working();
    for await (const arrived of reading.batches()) {
      if (stop.aborted) break;
      const started = performance.now();
      stall.began();
      const behind = arrived.at(-1)!.info.pending;
      const taken = arrived.map(heardOf);
      metrics.waiting(partition, taken.length + behind);
      const refolded = taken.filter((message) => message.sequence <= kept);
      const heard = taken.filter((message) => message.sequence > kept);
      if (refolded.length > 0) {
        const known = { partition, streamCreated: stream.created, lastSequence: refolded.at(-1)!.sequence };
        await handler.refold?.({ ...known, messages: refolded });
        const again = refolded.filter(({ sequence }) => untoldOf.has(sequence));
        if (again.length > 0) await tellAgain((await handler.retell?.({ ...known, messages: again })) ?? []);
        for (const { sequence } of again) untoldOf.delete(sequence);
      }
      if (heard.length === 0) {
        stall.ended();
        if (behind === 0) working();
        continue;
      }
      const batch: Batch = {
        partition,
        streamCreated: stream.created,
        messages: heard,
        lastSequence: heard.at(-1)!.sequence,
      };
      // Whoever is suspected of ending the process works alone, so that nobody else is blamed for it, nor it for somebody else.
      const isProven = attempts === 0;
      endTurn = await (oneByOne && !isProven ? turns.alone() : turns.together());
      attempts = isProven ? 0 : await countAttempt(database.pool, service, partition);
      const givenUp = oneByOne && attempts > ATTEMPTS_MAX;
      const keep = givenUp ? givingUp(batch) : await deciding(batch, !isProven);
      // What the last batch came to must be out before its place in the position is written over.
      await telling;
      const outcome = await keep();
      kept = batch.lastSequence;
      endTurn();
      endTurn = () => undefined;
      stall.ended();
      working();
      counters = outcome.counters;
      attempts = 0;
      if (givenUp) log.error({ partition, sequence: kept }, "a message was given up after it failed again and again");
      if (givenUp || ++keptOneByOne >= ONE_BY_ONE_MAX) oneByOne = false;
      handler.committed?.();
      metrics.waiting(partition, behind);
      metrics.kept({
        partition,
        messages: heard.length,
        seconds: (performance.now() - started) / 1000,
        storedMs: heard.at(-1)!.storedMs,
        counts: outcome.counts ?? {},
      });
      log.debug(
        { partition, messages: heard.length, kept, told: outcome.tell.length, traceparents: traceparentsOf(heard) },
        "batch kept",
      );
      telling = outcome.tell.length === 0 ? Promise.resolve() : say(bus, outcome.tell);
      // A failure is met at the next `await telling`; until then it may not count as unhandled.
      telling.catch(() => undefined);
    }
    await telling;
    // One that is given up before it was told again stays owed: the next owner reads of it here.
    if (untoldOf.size === 0) await markTold(database.pool, service, partition, kept);
  } catch (error) {
    const isNobodysFault =
      isDatabaseTrouble(error) || error instanceof PositionLost || error instanceof NotYet || isBusTrouble(error);
    if (isNobodysFault && attempts !== null && attempts > 0) {
      await forgiveAttempt(database.pool, service, partition, kept);
    }
    throw error;
  } finally {
    endTurn();
    stall.close();
    readings.delete(quit);
    stop.removeEventListener("abort", quit);
    await reading[Symbol.asyncDispose]();
  }
  if (!stop.aborted) throw new Error("the stream's messages ended");
}

/**
 * Says when a partition stands still: a batch that is not kept, or messages that wait and do not come. Then the messages
 * are asked for anew, which ends whatever hung there.
 */
function openStallWatch(
  { report, log, stallMs }: Pick<HearingParts<never>, "report" | "log" | "stallMs">,
  partition: number,
  reading: Pick<PartitionReading, "waiting" | "end">,
): { began(): void; ended(): void; close(): void } {
  const part = `partition ${partition}`;
  let movedAt = performance.now();
  let isKeeping = false;
  let closed = false;
  const say = (trouble: string) => {
    if (closed) return;
    log.warn({ partition, trouble }, "the partition stands still");
    report(part, trouble);
  };
  const look = async () => {
    if (performance.now() - movedAt < stallMs) return;
    const seconds = Math.round((performance.now() - movedAt) / 1000);
    if (isKeeping) return say(`a batch has not been kept for ${seconds} s`);
    const waiting = await reading.waiting().catch((error: Error) => error);
    if (waiting instanceof Error) say(`the stream cannot be read: ${waiting.message}`);
    else if (waiting > 0 && performance.now() - movedAt >= stallMs) {
      say(`nothing was read for ${seconds} s, and ${waiting} messages wait`);
      reading.end();
    }
  };
  const looking = setInterval(() => void look(), Math.max(250, stallMs / 6));
  return {
    began() {
      movedAt = performance.now();
      isKeeping = true;
    },
    ended() {
      movedAt = performance.now();
      isKeeping = false;
    },
    close() {
      closed = true;
      clearInterval(looking);
    },
  };
}

function heardOf(message: JsMsg): Heard {
  return {
    sequence: message.seq,
    subject: message.subject,
    storedMs: Math.floor(message.info.timestampNanos / 1e6),
    payload: message.data,
    traceparent: traceparentOf(message.headers?.get(TRACEPARENT_HEADER)),
  };
}

/** Whose readings a batch held, for its line in the log: each trace once, and not without end. */
function traceparentsOf(heard: readonly Heard[]): string[] | undefined {
  const found = new Set<string>();
  for (const { traceparent } of heard) if (traceparent !== null) found.add(traceparent);
  return found.size === 0 ? undefined : [...found].slice(0, TRACES_LOGGED_MAX);
}

/** Keeps the message that made the service fail again and again whole, with the service's name. */
const keepGivenUp =
  (service: string): Keep<null> =>
  (transaction, decisions) =>
    Promise.all(decisions.map(({ batch }) => giveUp(service, batch, transaction)));

async function giveUp(service: string, batch: Batch, transaction: pg.PoolClient): Promise<Kept> {
  const [message] = batch.messages as [Heard];
  const name = sensorOfSubject(message.subject);
  const letter: DeadLetter = {
    subject: keepableText(publishedSubject(message.subject)),
    site: name?.site ?? null,
    key: name?.key ?? null,
    reason: "processing_failed",
    detail: `${service} failed on it ${ATTEMPTS_MAX} times`,
    payload: message.payload,
    sequence: message.sequence,
    index: GIVEN_UP_INDEX[service] ?? -9,
    receivedMs: message.storedMs,
    traceparent: message.traceparent,
    readings: parseMessage(message.payload, message.storedMs).published,
  };
  const inserted = await transaction.query<{ id: number }>(
    `insert into dead_letters (subject, site, key, reason, detail, payload, stream_sequence, element_index, stream_created, received_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning id`,
    [
      letter.subject,
      letter.site,
      letter.key,
      letter.reason,
      letter.detail,
      Buffer.from(letter.payload),
      letter.sequence,
      letter.index,
      batch.streamCreated,
      new Date(letter.receivedMs),
    ],
  );
  const counts: Counts = {};
  if (service === "ingest") count(counts, "received", [], letter.readings);
  count(counts, "dead", [letter.reason], letter.readings);
  return { tell: inserted.rows.map(({ id }) => deadLetterTelling(id, letter, batch.streamCreated)), counts };
}

/** Each service may give up the same message once. */
const GIVEN_UP_INDEX: Readonly<Record<string, number>> = { ingest: -2, anomaly: -3, drift: -4, calibration: -5 };

function sleep(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
