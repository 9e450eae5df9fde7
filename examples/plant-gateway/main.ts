/**
 * A plant gateway: a line `KEY VALUE` on standard input becomes a reading of the sensor of that key.
 *
 * A reading is written to a spool file before it is published and leaves it when JetStream has acknowledged it, so that
 * nothing is lost while the network, the platform or this process is away. What is sent twice is kept once.
 */
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

interface Measured {
  key: string;
  value: number;
  timestamp: string;
}

const { NATS_URL = "nats://127.0.0.1:4222", NATS_USER = "plant", NATS_PASSWORD = "", SITE = "main" } = process.env;
const SPOOL = process.env["SPOOL"] ?? "spool.ndjson";
/** A message carries at most 10 000 readings and 1 MiB; a thousand of these are about 50 kB. */
const SENT_AT_ONCE_MAX = 1_000;
const AGAIN_MS = 1_000;

const waiting: Measured[] = existsSync(SPOOL) ? readFileSync(SPOOL, "utf8").split("\n").filter(isWhole).map(parse) : [];
const newestMs = new Map<string, number>();
let isEnding = false;

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [key = "", value = ""] = line.trim().split(/\s+/);
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(key) || value === "" || !Number.isFinite(Number(value))) {
      console.error(`not a reading: ${line}`);
      return;
    }
    const measured = { key, value: Number(value), timestamp: instantFor(key) };
    appendFileSync(SPOOL, `${JSON.stringify(measured)}\n`);
    waiting.push(measured);
  })
  .on("close", () => (isEnding = true));

const nats = await connect({
  servers: NATS_URL,
  user: NATS_USER,
  pass: NATS_PASSWORD,
  // A user that is fenced to one site receives on its own inbox only.
  inboxPrefix: `_INBOX_${NATS_USER}`,
  waitOnFirstConnect: true,
  maxReconnectAttempts: -1,
});
const log = jetstream(nats);

while (!isEnding || waiting.length > 0) {
  if (waiting.length === 0) await pause(100);
  else await send(waiting.slice(0, SENT_AT_ONCE_MAX));
}
await nats.drain();

/** Sends what came first, a message a sensor, and forgets it once all of it is acknowledged. */
async function send(measured: readonly Measured[]): Promise<void> {
  const byKey = Map.groupBy(measured, ({ key }) => key);
  try {
    await Promise.all(
      [...byKey].map(([key, own]) =>
        log.publish(
          `readings.${SITE}.${key}`,
          JSON.stringify(own.map(({ value, timestamp }) => ({ value, timestamp }))),
        ),
      ),
    );
  } catch (error) {
    console.error(`not acknowledged, and sent again: ${(error as Error).message}`);
    await pause(AGAIN_MS);
    return;
  }
  waiting.splice(0, measured.length);
  // Renamed into place: a process that is killed here finds the old file or the new one, whole.
  writeFileSync(`${SPOOL}.new`, waiting.map((one) => `${JSON.stringify(one)}\n`).join(""));
  renameSync(`${SPOOL}.new`, SPOOL);
}

/** Now; for a second reading within the same millisecond the next one, since one sensor and time is one reading. */
function instantFor(key: string): string {
  const ms = Math.max(Date.now(), (newestMs.get(key) ?? 0) + 1);
  newestMs.set(key, ms);
  return new Date(ms).toISOString();
}

/** The last line of a process that was killed may be cut off. */
function isWhole(line: string): boolean {
  try {
    parse(line);
    return true;
  } catch {
    return false;
  }
}

function parse(line: string): Measured {
  return JSON.parse(line) as Measured;
}
