/**
 * `npm run docs`: writes the papers that follow from the code; a test holds them to it. `npm run docs -- --pictures` also takes the
 * README's pictures from what the last run of `tests/browser` saw.
 */
import { conversations, PARTITIONS_DEFAULT, streams } from "@calibration/shared/topology.ts";
import { commonKnobs, modelKnobs, type Knob } from "@calibration/shared/config.ts";
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { knobs as gatewayKnobs } from "../services/gateway/src/config.ts";
import { knobs as trainerKnobs } from "../services/trainer/src/config.ts";
import { ROOT } from "./local/endpoints.ts";

const DAY_MS = 86_400_000;
const MIB = 1024 ** 2;
const GENERATED = "Written by `npm run docs`; change the code it comes from.";

/** Each generated paper's place and text. */
export function documents(): Record<string, string> {
  return { "docs/TOPOLOGY.md": topology(), "docs/KNOBS.md": knobs() };
}

function topology(): string {
  const said = conversations.map(({ subject, stream, says, hears, meaning }) => [
    `\`${subject}\``,
    stream === null ? "none" : `\`${streams[stream].name}\``,
    says.join(", "),
    hears.join(", "),
    meaning,
  ]);
  const kept = Object.values(streams).map(({ name, subjects, maxAgeMs, maxBytesDefault, discard, retention }) => [
    `\`${name}\``,
    subjects.map((subject) => `\`${subject}\``).join(", "),
    `${maxAgeMs / DAY_MS} days`,
    `${maxBytesDefault / MIB} MiB`,
    retention === "workqueue"
      ? "a message is gone once it is answered; a full stream refuses"
      : discard === "new"
        ? "a full stream refuses"
        : "a full stream forgets its oldest",
  ]);
  return `# Topology

${GENERATED} It comes from \`packages/shared/src/topology.ts\`, the only place that spells a subject.

## Who says what to whom

${table(["subject", "stream", "said by", "heard by", "what it means"], said)}

\`\`\`mermaid
flowchart LR
${edges().join("\n")}
\`\`\`

## Streams

${table(["stream", "subjects", "keeps", "at most", "when full"], kept)}

\`READINGS\` files each reading under a partition, \`readings.<partition>.<site>.<key>\`, by a hash of site and key: a sensor's readings are always in one
partition, in order. A new stream has ${PARTITIONS_DEFAULT} partitions; the number is fixed once it is made.
`;
}

/** The streams between those who speak and those who hear. */
function edges(): string[] {
  const lines = new Set<string>();
  const node = (name: string): string => `${name.replaceAll(" ", "_")}["${name}"]`;
  for (const { stream, says, hears } of conversations) {
    if (stream === null) continue;
    const { name } = streams[stream];
    for (const one of says) lines.add(`  ${node(one)} --> ${name}[(${name})]`);
    for (const one of hears) lines.add(`  ${name}[(${name})] --> ${node(one)}`);
  }
  return [...lines];
}

function knobs(): string {
  const rows = (own: Record<string, Knob<unknown>>): string[][] =>
    Object.values(own).map(({ name, fallback, meaning, expects }) => [
      `\`${name}\``,
      fallback === undefined ? "must be set" : fallback === "" ? "empty" : `\`${fallback as string | number}\``,
      expects.replaceAll("|", "\\|"),
      meaning,
    ]);
  const only = (all: Record<string, Knob<unknown>>) =>
    Object.fromEntries(Object.entries(all).filter(([key]) => !(key in commonKnobs)));
  const heading = ["variable", "default", "expects", "what it is"];
  return `# Knobs

${GENERATED} It comes from \`packages/shared/src/config.ts\` and each service's \`config.ts\`. A wrong or missing setting ends the service when it starts, with every
problem in one error. What Docker Compose sets is in \`.env.example\`.

## Every service

${table(heading, rows(commonKnobs))}

## anomaly, drift and calibration

${table(heading, rows(only(modelKnobs)))}

## gateway

${table(heading, rows(only(gatewayKnobs)))}

## trainer

${table(heading, rows(only(trainerKnobs)))}
`;
}

/** Columns as wide as their widest cell, as the formatter has them. */
function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, n) => Math.max(title.length, 3, ...rows.map((row) => row[n]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, n) => cell.padEnd(widths[n]!)).join(" | ")} |`;
  return [line(heading), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** Each picture of the README, and what it is among the evidence of the browser's tests. */
const PICTURES = {
  "docs/images/plant.png": "plant-1440-light.png",
  "docs/images/sensor.png": "sensor-anomaly-1440-light.png",
};

function takePictures(): void {
  for (const [file, seen] of Object.entries(PICTURES)) {
    const source = `${ROOT}.local/evidence/${seen}`;
    if (!existsSync(source)) throw new Error(`${source} is not there: run npm test -- tests/browser first`);
    copyFileSync(source, ROOT + file);
    console.log(`took ${file}`);
  }
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(documents())) {
    writeFileSync(ROOT + file, text);
    console.log(`wrote ${file}`);
  }
  if (process.argv.includes("--pictures")) takePictures();
}
