/** What the services hold in memory, by the number of sensors. */
import { setTimeout as pause } from "node:timers/promises";
import { MODEL_TYPES } from "@calibration/shared/model.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { ratioOf, type Figure } from "./figure.ts";
import { giveModels } from "./given-models.ts";
import { aReading, createPublishing, publishBacklog } from "./publisher.ts";
import { ROOT, type Servers, type ServiceName } from "./site.ts";

const MEGABYTE = 1024 ** 2;
const KILOBYTE = 1024;
const MEGABYTES_MAX = 300;
const FLAT: readonly ServiceName[] = ["ingest", "drift", "calibration", "trainer", "gateway"];
const MESSAGES_PER_S = 500;
const PER_MESSAGE = 10;
/** More than any window of the novelty detector holds. */
const FULL_HISTORY = 4300;
const MORE_HISTORY = FULL_HISTORY / 4;
const KILOBYTES_A_SENSOR_MAX = 70;
const SETTLED_MS = 4000;

export async function memoryFigures(servers: Servers, quick: boolean): Promise<Figure[]> {
  const [many, few, seconds] = quick ? [2000, 100, 3] : [10_000, 100, 300];
  const [ours, theirs] = [await underLoad(servers, many, seconds), await underLoad(servers, few, seconds)];
  return FLAT.map((service) => {
    const [a, b] = [ours.get(service)!, theirs.get(service)!];
    return {
      name: `memory of ${service}, ${many} sensors with three models, ${seconds} s of load`,
      reference: `${few} sensors`,
      unit: "MB",
      bound: { kind: "at most", ratio: 2 },
      ours: [a],
      theirs: [b],
      ratio: ratioOf([a], [b]),
      note: a <= MEGABYTES_MAX ? `≤ ${MEGABYTES_MAX} MB` : `ABOVE ${MEGABYTES_MAX} MB`,
    };
  });
}

/** Resident megabytes of each service at the end of the load. */
async function underLoad(servers: Servers, sensors: number, seconds: number): Promise<Map<ServiceName, number>> {
  await using site = await servers.openSite(sensors);
  await giveModels(site, MODEL_TYPES);
  const started = new Map(
    await Promise.all(
      FLAT.map(
        async (name) => [name, await site.start(name, { env: name === "gateway" ? { PORT: "0" } : {} })] as const,
      ),
    ),
  );
  using publishing = createPublishing(site.bus);
  const begun = performance.now();
  const firstMs = Math.floor(Date.now() / 1000) * 1000 - 86_400_000;
  for (let said = 0; performance.now() - begun < seconds * 1000;) {
    const due = Math.floor(((performance.now() - begun) / 1000) * MESSAGES_PER_S);
    for (; said < due; said++) {
      const sensor = (said % sensors) + 1;
      const index = Math.floor(said / sensors) * PER_MESSAGE;
      const body = Array.from({ length: PER_MESSAGE }, (_, i) => aReading(sensor, index + i, firstMs));
      await publishing.say(subjects.reading("main", String(sensor)), JSON.stringify(body));
    }
    await pause(5);
  }
  return new Map([...started].map(([name, one]) => [name, one.memory() / MEGABYTE]));
}

/** The slope between two numbers of sensors; then as much again is published, and nothing may be added. */
export async function memoryOfAnomaly(servers: Servers, quick: boolean): Promise<Figure[]> {
  const [few, many] = quick ? [10, 40] : [100, 1100];
  const [least] = await heldByAnomaly(servers, few);
  const [most, later] = await heldByAnomaly(servers, many);
  const perSensor = (most! - least!) / (many - few) / KILOBYTE;
  return [
    {
      name: "memory of anomaly a sensor, full history",
      reference: `at most ${KILOBYTES_A_SENSOR_MAX} KB`,
      unit: "KB",
      // The buffers that every partition has are larger than the state of a few sensors.
      bound: quick ? null : { kind: "at most", ratio: 1 },
      ours: [perSensor],
      theirs: [KILOBYTES_A_SENSOR_MAX],
      ratio: perSensor / KILOBYTES_A_SENSOR_MAX,
      note: quick ? "too few sensors to tell" : "heap and buffers, the slope over the sensors",
    },
    {
      name: "memory of anomaly after a quarter more readings",
      reference: "before",
      unit: "MB",
      bound: { kind: "at most", ratio: 1.1 },
      ours: [later! / MEGABYTE],
      theirs: [most! / MEGABYTE],
      ratio: later! / most!,
      note: "flat",
    },
  ];
}

/** Bytes of heap and buffers with a full history, and after a quarter more. */
async function heldByAnomaly(servers: Servers, sensors: number): Promise<number[]> {
  await using site = await servers.openSite(sensors);
  const anomaly = await site.start("anomaly", {
    imports: `${ROOT}scripts/bench/gc-often.ts`,
    env: { METRICS_PORT: String(site.metricsPort) },
  });
  const held: number[] = [];
  // The second part begins where the first has ended: late readings would wait for ingest, which is not there.
  for (const [readings, roomS] of [
    [FULL_HISTORY, 2 * FULL_HISTORY],
    [MORE_HISTORY, 60],
  ] as const) {
    await publishBacklog(site.bus, { sensors, readings: readings * sensors, perMessage: 50, roomS });
    await site.kept(["anomaly"]);
    await pause(SETTLED_MS);
    const metrics = await (await fetch(`http://127.0.0.1:${site.metricsPort}/metrics`)).text();
    held.push(metric(metrics, "nodejs_heap_size_used_bytes") + metric(metrics, "nodejs_external_memory_bytes"));
  }
  await anomaly[Symbol.asyncDispose]();
  return held;
}

const metric = (text: string, name: string): number =>
  Number(new RegExp(`^${name}\\{[^}]*\\} ([0-9.e+]+)$`, "m").exec(text)?.[1] ?? NaN);
