/** `npm run bench:sync`: what it costs to have each message flushed to the disk before it is acknowledged. */
import { findNatsServer } from "@calibration/servers/nats-binary.ts";
import { USERS, type NatsUsers } from "@calibration/servers/nats-config.ts";
import { startNatsServer } from "@calibration/servers/nats-server.ts";
import { freePort } from "@calibration/servers/ports.ts";
import { ensureStreams, openBus } from "@calibration/shared/bus.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../local/endpoints.ts";

const PORT_FIRST = 14_000;
const IN_FLIGHT = 500;
const MEASURED_MS = 5_000;
const ROUNDS = 3;

const users = Object.fromEntries(USERS.map((user) => [user, "bench"])) as NatsUsers;
const binary = await findNatsServer({ localDirectory: `${ROOT}.local`, say: () => undefined });
const reading = (n: number) => ({ value: 21.5 + (n % 10) / 10, timestamp: 1_700_000_000_000 + n, quality: "good" });

/** Readings a second that were acknowledged, `size` of them in a message. */
async function measure(syncAlways: boolean, size: number): Promise<number> {
  mkdirSync(`${ROOT}.local`, { recursive: true });
  const directory = mkdtempSync(join(`${ROOT}.local`, "bench-sync-"));
  try {
    const { port } = await freePort(PORT_FIRST);
    const { port: monitorPort } = await freePort(port + 1);
    await using server = await startNatsServer({ binary, directory, port, monitorPort, users, syncAlways });
    await using bus = await openBus({ natsUrl: server.url, natsUser: "admin", natsPassword: "bench", name: "bench" });
    await ensureStreams(bus, { partitions: 16 });
    const body = JSON.stringify(size === 1 ? reading(0) : Array.from({ length: size }, (_, n) => reading(n)));
    const begun = performance.now();
    let sent = 0;
    while (performance.now() - begun < MEASURED_MS) {
      await Promise.all(
        Array.from({ length: IN_FLIGHT }, (_, n) =>
          bus.jetstream.publish(subjects.reading("main", `s${n % 64}`), body),
        ),
      );
      sent += IN_FLIGHT * size;
    }
    return (sent * 1000) / (performance.now() - begun);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

for (const size of [1, 100]) {
  const rates = { interval: [] as number[], always: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    rates.interval.push(await measure(false, size));
    rates.always.push(await measure(true, size));
  }
  const best = { interval: Math.max(...rates.interval), always: Math.max(...rates.always) };
  console.log(
    `${String(size).padStart(4)} readings a message: ${Math.round(best.interval)} readings/s flushed every 2 minutes, ${Math.round(best.always)} flushed always: ${(best.always / best.interval).toFixed(2)} of it`,
  );
}
