/**
 * `npm run import-readings`: back-fills a sensor's history from a CSV, through the same door as any reading. The file is
 * read twice, to know its span and its faults before anything is sent, so that it never has to fit into memory.
 */
import { publishBackfill } from "@calibration/shared/bus.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { SingleBar } from "cli-progress";
import { existsSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { ColumnMissing, csvReadings, type CsvReading } from "../local/csv.ts";
import { NOT_RUNNING, reach } from "../local/endpoints.ts";
import { notTaken, openBusOrEnd } from "../local/open.ts";
import { readOptions, wrongUsage } from "../local/options.ts";
import { createRest, RestError } from "../local/rest.ts";

const USAGE = `npm run import-readings -- --sensor-id N FILE.csv
  --timestamp-column NAME, --value-column NAME   (default timestamp and value)
  --shift-to-now   moves the series so that its last reading is now
  --speed N        replays it N times as fast as it happened, instead of all at once
  A time without an offset is taken as UTC. Importing a file again adds nothing.`;
const READINGS_PER_MESSAGE = 1000;
const PROBLEMS_SHOWN = 20;
/** A replay sends what came due together. */
const REPLAY_MS = 200;

const { values, positionals } = readOptions(
  USAGE,
  {
    "sensor-id": { type: "string" },
    "timestamp-column": { type: "string", default: "timestamp" },
    "value-column": { type: "string", default: "value" },
    "shift-to-now": { type: "boolean" },
    speed: { type: "string" },
  },
  true,
);
const sensorId = Number(values["sensor-id"]);
const speed = values.speed === undefined ? null : Number(values.speed);
const [file] = positionals;
const columns = { timestamp: values["timestamp-column"], value: values["value-column"] };
if (!(Number.isInteger(sensorId) && sensorId > 0))
  wrongUsage(USAGE, `--sensor-id is a number, and not ${values["sensor-id"] ?? "left out"}`);
if (file === undefined || positionals.length > 1) wrongUsage(USAGE, "name one CSV file");
if (!existsSync(file) || !statSync(file).isFile()) wrongUsage(USAGE, `there is no file ${file}`);
if (speed !== null && !(speed > 0)) wrongUsage(USAGE, `--speed is a positive number, and not ${values.speed}`);
const { gatewayUrl, token, natsUrl, plant } = reach();
if (gatewayUrl === null || token === null || natsUrl === null) {
  console.error(NOT_RUNNING);
  process.exit(1);
}

const sensor = await createRest(gatewayUrl, token)<{ site: string; key: string }>(
  "GET",
  `/api/sensors/${sensorId}/`,
).catch((error: unknown) => {
  console.error(
    error instanceof RestError && error.status === 404
      ? `Sensor ${sensorId} does not exist.`
      : `The gateway did not answer: ${(error as Error).message}`,
  );
  process.exit(1);
});
/** The same for both readings of the file. A series that is moved ends now, wherever it ended before. */
const latestMs = values["shift-to-now"] === true ? Infinity : Date.now();
const survey = await surveyFile(file).catch((error: unknown) => {
  if (error instanceof ColumnMissing) wrongUsage(USAGE, error.message);
  console.error(`${file} is no CSV file: ${(error as Error).message}`);
  process.exit(1);
});
for (const problem of survey.shown) console.error(problem);
if (survey.skipped > survey.shown.length) console.error(`… and ${survey.skipped - survey.shown.length} more`);
if (survey.readings === 0) {
  console.error(`No usable row in ${file}; ${survey.skipped} skipped.`);
  process.exit(1);
}
const shiftMs = values["shift-to-now"] === true ? Date.now() - survey.lastMs : 0;
await using bus = await openBusOrEnd({
  natsUrl,
  natsUser: plant.user,
  natsPassword: plant.password,
  name: "import-readings",
});
const bar = process.stdout.isTTY
  ? new SingleBar({ format: "{bar} {value} of {total} readings, {eta_formatted} left" })
  : null;
bar?.start(survey.readings, 0);
const readings = survey.inOrder ? readingsOf(file) : sortedReadings(file, survey.readings);
await (speed === null ? sendAll(readings) : replay(readings, speed));
bar?.stop();
const [first, last] = [survey.firstMs, survey.lastMs].map((ms) => new Date(ms + shiftMs).toISOString());
console.log(
  `${survey.readings} readings of sensor ${sensorId} published, ${first} to ${last}; ${survey.skipped} rows skipped.`,
);

interface Survey {
  readings: number;
  skipped: number;
  /** The first problems, for people. */
  shown: string[];
  firstMs: number;
  lastMs: number;
  inOrder: boolean;
}

async function surveyFile(path: string): Promise<Survey> {
  const found: Survey = { readings: 0, skipped: 0, shown: [], firstMs: Infinity, lastMs: -Infinity, inOrder: true };
  for await (const row of csvReadings(path, columns, latestMs)) {
    if ("problem" in row) {
      if (found.skipped++ < PROBLEMS_SHOWN) found.shown.push(row.problem);
      continue;
    }
    found.readings++;
    if (row.timestamp < found.lastMs) found.inOrder = false;
    found.firstMs = Math.min(found.firstMs, row.timestamp);
    found.lastMs = Math.max(found.lastMs, row.timestamp);
  }
  return found;
}

async function* readingsOf(path: string): AsyncGenerator<CsvReading> {
  for await (const row of csvReadings(path, columns, latestMs)) if (!("problem" in row)) yield row;
}

/** A file whose newest row comes first would arrive as late readings, which are judged by less: 20 bytes a row put it in order. */
async function* sortedReadings(path: string, count: number): AsyncGenerator<CsvReading> {
  const timestamps = new Float64Array(count);
  const numbers = new Float64Array(count);
  let rows = 0;
  for await (const { timestamp, value } of readingsOf(path)) {
    timestamps[rows] = timestamp;
    numbers[rows++] = value;
  }
  const order = Uint32Array.from({ length: rows }, (_, n) => n).sort(
    (a, b) => timestamps[a]! - timestamps[b]! || a - b,
  );
  for (const n of order) yield { timestamp: timestamps[n]!, value: numbers[n]! };
}

async function send(part: readonly CsvReading[]): Promise<void> {
  if (part.length === 0) return;
  const body = part.map(({ timestamp, value }) => ({ value, timestamp: timestamp + shiftMs }));
  await publishBackfill(bus, subjects.reading(sensor.site, sensor.key), JSON.stringify(body)).catch(notTaken);
  bar?.increment(part.length);
}

async function sendAll(all: AsyncIterable<CsvReading>): Promise<void> {
  let part: CsvReading[] = [];
  for await (const reading of all) {
    part.push(reading);
    if (part.length < READINGS_PER_MESSAGE) continue;
    await send(part);
    part = [];
  }
  await send(part);
}

/** Each reading when its turn comes; the first one at once. */
async function replay(all: AsyncIterable<CsvReading>, times: number): Promise<void> {
  const begunMs = performance.now();
  const reachedMs = () => survey.firstMs + (performance.now() - begunMs) * times;
  let due: CsvReading[] = [];
  for await (const reading of all) {
    if (reading.timestamp > reachedMs() || due.length === READINGS_PER_MESSAGE) {
      await send(due);
      due = [];
    }
    while (reading.timestamp > reachedMs()) await pause(REPLAY_MS);
    due.push(reading);
  }
  await send(due);
}
