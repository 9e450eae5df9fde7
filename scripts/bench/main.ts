/**
 * `npm run bench`: each figure beside its reference, measured in the same run in turns, and compared as a ratio; a single
 * figure of a shared machine says nothing. Prints a plain table and writes `.local/bench/latest.json`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readOptions, wrongUsage } from "../local/options.ts";
import { isMet, tableOf, type Figure } from "./figure.ts";
import { forestFigures } from "./forest.ts";
import { latencyFigures } from "./latency.ts";
import { memoryFigures, memoryOfAnomaly } from "./memory.ts";
import { ownershipFigures } from "./ownership.ts";
import { parsingFigures } from "./parsing.ts";
import { readFigures } from "./reads.ts";
import { replicaFigures } from "./replicas.ts";
import { LOCAL, openServers, type Servers } from "./site.ts";
import { ingestFigures, manySensors, platformFigures } from "./throughput.ts";
import { trainingFigures } from "./training.ts";

const USAGE = `npm run bench -- [--quick] [--only NAME,NAME] [--rounds N]

  --quick    short loads and one round, under two minutes: shows that everything runs, and roughly how fast
  --only     of: ingest, platform, latency, replicas, ownership, sensors, memory, anomaly, forest, parsing, reads, training
  --rounds   how often each figure and its reference are measured in turns (default 3)`;

type Bench = (servers: Servers, quick: boolean, rounds: number) => Promise<Figure[]>;
const benches: Record<string, Bench> = {
  ingest: ingestFigures,
  platform: platformFigures,
  latency: latencyFigures,
  replicas: replicaFigures,
  ownership: ownershipFigures,
  sensors: manySensors,
  memory: memoryFigures,
  anomaly: memoryOfAnomaly,
  forest: async (_, quick, times) => forestFigures(quick, times),
  parsing: (_, quick, times) => parsingFigures(quick, times),
  reads: readFigures,
  training: trainingFigures,
};

const { values: options } = readOptions(USAGE, {
  quick: { type: "boolean", default: false },
  only: { type: "string" },
  rounds: { type: "string" },
});
const chosen = options.only?.split(",") ?? Object.keys(benches);
const unknown = chosen.find((name) => benches[name] === undefined);
if (unknown !== undefined) wrongUsage(USAGE, `there is no benchmark "${unknown}"`);
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3));
if (!Number.isInteger(rounds) || rounds < 1) wrongUsage(USAGE, "--rounds takes a number from 1 on");

const begun = performance.now();
const say = (text: string) =>
  console.error(`[${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s] ${text}`);
const figures: Figure[] = [];
{
  await using servers = await openServers(say);
  for (const name of chosen) {
    say(name);
    const measured = await benches[name]!(servers, options.quick, rounds);
    // A run that is cut off has told what it measured.
    for (const figure of measured) say(`  ${figure.name}: ${figure.ratio?.toPrecision(3) ?? "–"} (${figure.note})`);
    figures.push(...measured);
  }
}
console.log(`\n${tableOf(figures)}\n`);
const directory = join(LOCAL, "bench");
mkdirSync(directory, { recursive: true });
const file = join(directory, "latest.json");
writeFileSync(
  file,
  `${JSON.stringify({ node: process.version, cores: availableParallelism(), quick: options.quick, rounds, figures: figures.map((figure) => ({ ...figure, reached: isMet(figure) })) }, null, 2)}\n`,
);
say(`also in ${file}`);
