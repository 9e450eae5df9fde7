/** From a reading's publication to its event's delivery, beside a bare publication's delivery and one commit. */
import type { Bus } from "@calibration/shared/bus.ts";
import { quantile } from "@calibration/models/statistics.ts";
import { streams, subjects } from "@calibration/shared/topology.ts";
import { ratioOf, type Figure } from "./figure.ts";
import { aReading } from "./publisher.ts";
import type { Servers, Site } from "./site.ts";

const RATE = 1000;
const SENSORS = 1000;
/** One reading in twenty is out of its sensor's range, and opens an episode. */
const SAMPLED = 20;
const OUT_OF_RANGE = 500;
const WARM_S = 2;
const SLOT_MS = 2;
const STRAGGLERS_MS = 3000;

export async function latencyFigures(servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> {
  const seconds = quick ? 6 : 19;
  const ours: number[][] = [];
  const theirs: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await eventLatencies(servers, seconds));
    theirs.push(await commitLatencies(servers, seconds));
  }
  return [0.5, 0.99].map((q) => {
    const [a, b] = [ours, theirs].map((all) => all.map((latencies) => quantile(latencies, q))) as [number[], number[]];
    return {
      name: `anomaly: published → event delivered, p${q * 100}, ${RATE} readings/s`,
      reference: "bare publish → deliver and one commit",
      unit: "ms",
      bound: { kind: "at most", ratio: 5 },
      ours: a,
      theirs: b,
      ratio: ratioOf(a, b),
      note: "",
    } satisfies Figure;
  });
}

async function eventLatencies(servers: Servers, seconds: number): Promise<number[]> {
  await using site = await servers.openSite(SENSORS);
  await using _anomaly = await site.start("anomaly");
  const consumer = await site.bus.jetstream.consumers.get(streams.events.name, {
    filter_subjects: ["events.anomaly.>"],
  });
  const messages = await consumer.consume({ max_messages: 500 });
  const published = new Map<string, number>();
  const latencies: number[] = [];
  const hearing = (async () => {
    for await (const message of messages) {
      const {
        event,
        sensor_id: sensor,
        timestamp,
      } = message.json<{
        event: string;
        sensor_id: number;
        timestamp: string;
      }>();
      const at = event === "opened" ? published.get(`${sensor} ${timestamp}`) : undefined;
      if (at !== undefined) latencies.push(performance.now() - at);
    }
  })();
  await publishSteadily(site, seconds, (key) => published.set(key, performance.now()));
  await untilQuiet(() => latencies.length, published.size);
  await messages.close();
  await hearing;
  return latencies;
}

async function commitLatencies(servers: Servers, seconds: number): Promise<number[]> {
  await using site = await servers.openSite(SENSORS);
  await site.database.pool.query("create table bench_commits (sensor_id int, value float8)");
  const consumer = await site.bus.jetstream.consumers.get(streams.readings.name, { filter_subjects: ["readings.>"] });
  const messages = await consumer.consume({ max_messages: 500 });
  const published = new Map<string, number>();
  const latencies: number[] = [];
  const hearing = (async () => {
    for await (const message of messages) {
      const sensor = Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
      const { value, timestamp } = message.json<{ value: number; timestamp: string }>();
      const at = published.get(`${sensor} ${timestamp}`);
      if (at === undefined) continue;
      void site.database.pool
        .query("insert into bench_commits values ($1, $2)", [sensor, value])
        .then(() => latencies.push(performance.now() - at));
    }
  })();
  await publishSteadily(site, seconds, (key) => published.set(key, performance.now()));
  await untilQuiet(() => latencies.length, published.size);
  await messages.close();
  await hearing;
  return latencies;
}

/** A reading every millisecond, round the sensors; the sampled ones of the first seconds only warm up. */
async function publishSteadily(
  site: { bus: Bus } & Pick<Site, "sensors">,
  seconds: number,
  sampled: (key: string) => void,
) {
  const begun = performance.now();
  const firstMs = Math.floor(Date.now() / 1000) * 1000 - 60_000;
  let said = 0;
  const total = seconds * RATE;
  while (said < total) {
    const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * RATE));
    for (; said < due; said++) {
      const sensor = (said % SENSORS) + 1;
      const round = Math.floor(said / SENSORS);
      const reading = aReading(sensor, round, firstMs);
      const isSampled = sensor % SAMPLED === round % SAMPLED;
      if (isSampled) reading.value = OUT_OF_RANGE;
      if (isSampled && round >= WARM_S) sampled(`${sensor} ${reading.timestamp}`);
      site.bus.connection.publish(subjects.reading("main", String(sensor)), JSON.stringify(reading));
    }
    await new Promise((resolve) => setTimeout(resolve, SLOT_MS));
  }
}

async function untilQuiet(count: () => number, wanted: number): Promise<void> {
  const deadline = performance.now() + STRAGGLERS_MS;
  while (count() < wanted && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  if (count() < wanted * 0.99) throw new Error(`${count()} of ${wanted} were delivered`);
}
