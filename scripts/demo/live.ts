/**
 * The demo plant, live: a plant gateway like any other, a process of its own with the user `plant`. It publishes a reading a minute
 * for each sensor, misbehaves now and then, and on demand: a request is a file in `.local/demo/faults/`.
 */
import { createRandom } from "@calibration/models/random.ts";
import { ANOMALY_TYPES, type AnomalyType } from "@calibration/shared/anomaly.ts";
import { openBus } from "@calibration/shared/bus.ts";
import { endWithParent, untilStopped } from "@calibration/shared/lifetime.ts";
import { createLog } from "@calibration/shared/log.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createFault, type Fault } from "./faults.ts";
import { DEMO_SENSORS, measuredAt, MINUTE_MS, type DemoSensor } from "./plant.ts";

const SITE = "main";
const LOOK_MS = 500;
/** While something is wrong a sensor is read more often, as plants do; a silence lasts as long as it must to be noticed. */
const FAULT_MS = 2_000;
const FAULT_MS_SILENT = MINUTE_MS;
/** A fault by itself, about so often. */
const FAULT_EVERY_MS = 4 * 3_600_000;

const env = process.env;
endWithParent();
const log = createLog("demo plant", "info");
const directory = env["FAULTS_DIRECTORY"]!;
const epochMs = Number(env["EPOCH_MS"]);
mkdirSync(directory, { recursive: true });

await using bus = await openBus({
  natsUrl: env["NATS_URL"]!,
  natsUser: "plant",
  natsPassword: env["NATS_PASSWORD"]!,
  name: "demo plant",
});
const random = createRandom(Math.floor(Date.now() / 1000));
const faults = new Map<number, { fault: Fault; n: number; nextMs: number }>();
let nextMinuteMs = Math.ceil(Date.now() / MINUTE_MS) * MINUTE_MS;
let nextFaultMs = Date.now() + FAULT_EVERY_MS * (0.5 + random.float());

const ticking = setInterval(() => {
  tick(Date.now()).catch((error: unknown) => log.warn({ error }, "a reading was not taken"));
}, LOOK_MS);
const stopped = untilStopped();
log.info({ sensors: DEMO_SENSORS.length }, "ready");
log.info({ signal: await stopped }, "stopping");
clearInterval(ticking);

async function tick(now: number): Promise<void> {
  takeRequests(now);
  if (now >= nextFaultMs) {
    begin(
      ANOMALY_TYPES[random.integer(ANOMALY_TYPES.length)]!,
      DEMO_SENSORS[random.integer(DEMO_SENSORS.length)]!,
      now,
    );
    nextFaultMs = now + FAULT_EVERY_MS * (0.5 + random.float());
  }
  const isMinute = now >= nextMinuteMs;
  if (isMinute) nextMinuteMs += MINUTE_MS;
  for (const sensor of DEMO_SENSORS) {
    const faulty = faults.get(sensor.id);
    if (faulty === undefined) {
      if (isMinute) await publish(sensor, measuredAt(sensor, now, epochMs), now);
      continue;
    }
    if (now < faulty.nextMs) continue;
    const value = faulty.fault.change(measuredAt(sensor, now, epochMs), faulty.n, () => random.normal());
    faulty.n++;
    faulty.nextMs = now + (value === null ? FAULT_MS_SILENT : FAULT_MS);
    if (value !== null) await publish(sensor, value, now);
    if (faulty.n >= faulty.fault.readings) faults.delete(sensor.id);
  }
}

function takeRequests(now: number): void {
  for (const file of readdirSync(directory).filter((name) => name.endsWith(".json"))) {
    const path = join(directory, file);
    try {
      const { sensor: id, type } = JSON.parse(readFileSync(path, "utf8")) as { sensor: number; type: AnomalyType };
      const sensor = DEMO_SENSORS.find((one) => one.id === id);
      if (sensor !== undefined) begin(type, sensor, now);
    } catch (error) {
      log.warn({ error, file }, "a request is unreadable");
    }
    rmSync(path, { force: true });
  }
}

function begin(type: AnomalyType, sensor: DemoSensor, now: number): void {
  log.info({ sensorId: sensor.id, type }, "misbehaving");
  faults.set(sensor.id, { fault: createFault(type, sensor), n: 0, nextMs: now });
}

async function publish(sensor: DemoSensor, value: number, timestamp: number): Promise<void> {
  await bus.jetstream.publish(subjects.reading(SITE, String(sensor.id)), JSON.stringify({ value, timestamp }));
}
