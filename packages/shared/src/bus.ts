/** The connection to NATS: streams made as `topology.ts` declares them, facts said with an acknowledgement. */
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { readingsTransform, streams, type StreamKey } from "./topology.ts";
import { traceHeaders } from "./trace.ts";

export interface Bus extends AsyncDisposable {
  connection: NatsConnection;
  jetstream: JetStreamClient;
  manager: JetStreamManager;
}

export interface BusOptions {
  /** `nats://host:port`, several with commas between them; a user and password in it go before those beside it. */
  natsUrl: string;
  natsUser?: string;
  natsPassword?: string;
  /** Where answers are awaited; `_INBOX_<user>` unless said otherwise. */
  inboxPrefix?: string;
  name: string;
}

/** A fact to be said: published with its id, so that a repeat is known as one. */
export interface Telling {
  subject: string;
  id: string;
  body: string;
  /** Of the message that the fact came from. */
  traceparent?: string | null;
}

/** How many unacknowledged publishes are out at a time. */
const IN_FLIGHT_MAX = 500;
/** How long an answer of JetStream may take: a server on a starved machine is slow, and not gone. */
const ANSWER_MS_MAX = 20_000;
/** Hours of back-fill are not given up for one acknowledgement that is late. */
const BACKFILL_ATTEMPTS_MAX = 6;
const BACKFILL_PAUSE_MS = 500;
/** How long a service that starts waits for the streams it needs. */
const STREAMS_MS_MAX = 180_000;
const STREAMS_LOOK_MS = 500;

/** nats-server 2.15 allows a stream a thousand unless it says otherwise: 250 partitions of four services. */
const CONSUMERS_MAX = 20_000;

/** Opens the connection, and waits for NATS where it is not there yet; later breaks are mended by the client for ever. */
export async function openBus(options: BusOptions): Promise<Bus> {
  const named = credentialsOf(options.natsUrl);
  const { user, pass } = named ?? { user: options.natsUser ?? "", pass: options.natsPassword ?? "" };
  const { inboxPrefix = `_INBOX_${user}` } = options;
  const connection = await connect({
    servers: options.natsUrl.split(",").map((url) => url.replace(USER_INFO, "$1")),
    name: options.name,
    ...(user === "" ? {} : { user, pass, inboxPrefix }),
    // Asked for by its name, TLS is demanded: a server that offers none is refused.
    ...(options.natsUrl.startsWith("tls://") ? { tls: {} } : {}),
    noAsyncTraces: true,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    reconnectTimeWait: 500,
    pingInterval: 5_000,
  });
  return {
    connection,
    jetstream: jetstream(connection, { timeout: ANSWER_MS_MAX }),
    manager: await jetstreamManager(connection, { checkAPI: false, timeout: ANSWER_MS_MAX }),
    async [Symbol.asyncDispose]() {
      await connection.drain().catch(() => connection.close());
    },
  };
}

const USER_INFO = /^([a-z]+:\/\/)?([^@/:]+):([^@/]*)@/;

/** Of the first server that names a user, as NATS's own tools take it: `nats://user:password@host:port`. */
function credentialsOf(natsUrl: string): { user: string; pass: string } | null {
  for (const url of natsUrl.split(",")) {
    const [, , user, pass] = USER_INFO.exec(url) ?? [];
    if (user !== undefined && pass !== undefined)
      return { user: decodeURIComponent(user), pass: decodeURIComponent(pass) };
  }
  return null;
}

/** Makes the streams that are missing. One that is there keeps its partitions: they are a property of what it holds. */
export async function ensureStreams(
  bus: Bus,
  options: { partitions: number; keys?: readonly StreamKey[] },
): Promise<void> {
  for (const key of options.keys ?? (Object.keys(streams) as StreamKey[])) {
    const declared = streams[key];
    const config = {
      name: declared.name,
      subjects: [...declared.subjects],
      storage: "file" as const,
      retention: declared.retention,
      discard: declared.discard,
      max_age: declared.maxAgeMs * 1e6,
      max_bytes: declared.maxBytesDefault,
      // The server's least: in READINGS a repeat is known by sensor and timestamp, and two careless plants may use one id.
      duplicate_window: key === "readings" ? 100 * 1e6 : 120 * 1e9,
      max_consumers: CONSUMERS_MAX,
      ...(key === "readings" ? { subject_transform: readingsTransform(options.partitions) } : {}),
      metadata: key === "readings" ? { partitions: String(options.partitions) } : {},
    };
    try {
      await bus.manager.streams.info(declared.name);
    } catch {
      try {
        await bus.manager.streams.add(config);
      } catch (error) {
        // Another service made it in the meantime, perhaps with other partitions; its word stands.
        await bus.manager.streams.info(declared.name).catch(() => {
          throw error;
        });
      }
    }
  }
}

/** Waits until whoever starts the platform has made the streams; a service may not make one. */
export async function untilStreams(bus: Pick<Bus, "manager">): Promise<void> {
  for (const { name } of Object.values(streams)) {
    for (const untilMs = performance.now() + STREAMS_MS_MAX; ;) {
      try {
        await bus.manager.streams.info(name);
        break;
      } catch (error) {
        if (performance.now() > untilMs) throw new Error(`there is no stream ${name}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, STREAMS_LOOK_MS));
      }
    }
  }
}

/** What identifies a stream: when it was made, and into how many partitions it files. */
export async function readingsStream(
  bus: Bus,
): Promise<{ created: string; partitions: number; firstSequence: number; lastSequence: number }> {
  const info = await bus.manager.streams.info(streams.readings.name);
  return {
    created: info.created,
    partitions: Number(info.config.metadata?.["partitions"] ?? 16),
    firstSequence: info.state.first_seq,
    lastSequence: info.state.last_seq,
  };
}

/** Says every fact in order and returns when JetStream has all of them. Facts of one subject are never reordered. */
export async function say(bus: Pick<Bus, "jetstream">, tellings: readonly Telling[]): Promise<void> {
  for (let start = 0; start < tellings.length; start += IN_FLIGHT_MAX) {
    const part = tellings.slice(start, start + IN_FLIGHT_MAX);
    await Promise.all(
      part.map(({ subject, id, body, traceparent }) =>
        bus.jetstream.publish(subject, body, { msgID: id, ...traceHeaders(traceparent) }),
      ),
    );
  }
}

/**
 * Publishes a piece of back-fill and asks again where its acknowledgement stays away: a reading that arrives twice is
 * kept once, so asking again is safe.
 */
export async function publishBackfill(bus: Pick<Bus, "jetstream">, subject: string, body: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await bus.jetstream.publish(subject, body);
      return;
    } catch (error) {
      if (!isBusTrouble(error) || attempt === BACKFILL_ATTEMPTS_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, BACKFILL_PAUSE_MS * attempt));
    }
  }
}

/** NATS is away, busy or slow: the same may succeed later. */
export function isBusTrouble(error: unknown): boolean {
  return (
    error instanceof Error &&
    /timeout|no responders|connection|disconnect|closed|jetstream|heartbeat/i.test(`${error.name} ${error.message}`)
  );
}
