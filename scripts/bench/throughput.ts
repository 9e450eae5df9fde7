/** How fast a backlog that was published before is worked off, in readings a second. */
import { median } from "@calibration/models/statistics.ts";
import { streams } from "@calibration/shared/topology.ts";
import { inTurns, type Figure } from "./figure.ts";
import { publishBacklog } from "./publisher.ts";
import { STREAM_SERVICES, type Servers, type ServiceName, type Site } from "./site.ts";

export interface Load {
  sensors: number;
  readings: number;
  perMessage: number;
}

const DRAINED = "a 60-line drain into the same table";

export const ingestFigures = async (servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> => [
  await besideTheDrain(servers, rounds, {
    name: "ingest alone, one-reading messages",
    services: ["ingest"],
    load: { sensors: 100, readings: quick ? 60_000 : 400_000, perMessage: 1 },
    least: 0.8,
  }),
  await besideTheDrain(servers, rounds, {
    name: "ingest alone, arrays of 100",
    services: ["ingest"],
    load: { sensors: 100, readings: quick ? 200_000 : 2_000_000, perMessage: 100 },
    least: 0.7,
  }),
];

export const platformFigures = async (servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> => [
  await besideTheDrain(servers, rounds, {
    name: "all four services, arrays of 100",
    services: STREAM_SERVICES,
    load: { sensors: 100, readings: quick ? 450_000 : 1_000_000, perMessage: 100 },
    least: 0.3,
  }),
];

/** As many readings, spread over 10 000 sensors or over ten. */
export async function manySensors(servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> {
  const readings = quick ? 100_000 : 3_000_000;
  const [many, few] = quick ? [2_000, 10] : [10_000, 10];
  return [
    await inTurns({
      name: `all four services, arrays of 100, ${many} sensors`,
      reference: `${few} sensors`,
      unit: "readings/s",
      bound: { kind: "at least", ratio: 0.7 },
      rounds: Math.min(rounds, 3),
      ours: () => rateOf(servers, STREAM_SERVICES, { sensors: many, readings, perMessage: 100 }),
      theirs: () => rateOf(servers, STREAM_SERVICES, { sensors: few, readings, perMessage: 100 }),
    }),
  ];
}

async function besideTheDrain(
  servers: Servers,
  rounds: number,
  parts: { name: string; services: readonly ServiceName[]; load: Load; least: number },
): Promise<Figure> {
  const work: Record<"ours" | "theirs", number[]> = { ours: [], theirs: [] };
  const figure = await inTurns({
    name: parts.name,
    reference: DRAINED,
    unit: "readings/s",
    bound: { kind: "at least", ratio: parts.least },
    rounds,
    ours: () => rateOf(servers, parts.services, parts.load, work.ours),
    theirs: () => rateOfDrain(servers, parts.load, work.theirs),
  });
  // Others on the machine take its time, but not the work: this says what would be left of the ratio without them.
  const cost = (all: readonly number[]) => median(all).toPrecision(3);
  return work.ours.length === 0
    ? figure
    : { ...figure, note: `processor µs a reading, servers included: ${cost(work.ours)} beside ${cost(work.theirs)}` };
}

/** Readings a second; adds to `work` the processor's microseconds a reading. */
export async function rateOf(
  servers: Servers,
  services: readonly ServiceName[],
  load: Load,
  work: number[] = [],
): Promise<number> {
  await using site = await servers.openSite(load.sensors);
  const count = await publishBacklog(site.bus, load);
  const started = await Promise.all(services.map((service) => site.start(service)));
  const before = site.cpuSeconds(started);
  let end = await site.kept(services);
  if (services.includes("calibration")) end = Math.max(end, await told(site));
  const after = site.cpuSeconds(started);
  if (before !== null && after !== null) work.push(((after - before) / count) * 1e6);
  await proven(site, services, count);
  return (count / (end - Math.max(...started.map((one) => one.readyAt)))) * 1000;
}

async function rateOfDrain(servers: Servers, load: Load, work: number[]): Promise<number> {
  await using site = await servers.openSite(load.sensors);
  const count = await publishBacklog(site.bus, load);
  const process = await site.startReference();
  const before = site.cpuSeconds([process]);
  const end = await site.kept(["reference"]);
  const after = site.cpuSeconds([process]);
  if (before !== null && after !== null) work.push(((after - before) / count) * 1e6);
  await proven(site, ["ingest"], count);
  return (count / (end - process.readyAt)) * 1000;
}

/** Every message has its answer in CORRECTED. */
async function told(site: Site): Promise<number> {
  const { messages } = (await site.bus.manager.streams.info(streams.readings.name, { subjects_filter: "readings.>" }))
    .state;
  const readings = messages - (await ticks(site));
  for (;;) {
    const corrected = await site.bus.manager.streams.info(streams.corrected.name);
    if (corrected.state.messages >= readings) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function ticks(site: Site): Promise<number> {
  const info = await site.bus.manager.streams.info(streams.readings.name, { subjects_filter: "ticks.>" });
  return Object.values(info.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

/** A rate of work that was not done is worth nothing: the rows are counted. */
async function proven(site: Site, services: readonly string[], readings: number): Promise<void> {
  const tables = { ingest: "readings", calibration: "corrected_readings" } as const;
  for (const [service, table] of Object.entries(tables)) {
    if (!services.includes(service)) continue;
    const { rows } = await site.database.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`);
    if (rows[0]!.n !== readings) throw new Error(`${table} has ${rows[0]!.n} rows of ${readings}`);
  }
}
