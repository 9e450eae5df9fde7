/** `npm run import-readings`: back-fills a sensor's history from a CSV, through the same door as any reading. */
import { openBus, publishBackfill, type Bus } from "@calibration/shared/bus.ts";
import { readTimestamp } from "@calibration/shared/reading.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { SingleBar } from "cli-progress";
import { parse } from "csv-parse";
import { createReadStream, existsSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { NOT_RUNNING, reach } from "../local/endpoints.ts";
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
const LAST_COLUMNS = 2;

interface Row {
  timestamp: number;
  value: number;
}

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
const { rows, problems } = await readRows(file, values["timestamp-column"], values["value-column"]);
for (const problem of problems.slice(0, PROBLEMS_SHOWN)) console.error(problem);
if (problems.length > PROBLEMS_SHOWN) console.error(`… and ${problems.length - PROBLEMS_SHOWN} more`);
if (rows.length === 0) {
  console.error(`No usable row in ${file}; ${problems.length} skipped.`);
  process.exit(1);
}
rows.sort((a, b) => a.timestamp - b.timestamp);
const shiftMs = values["shift-to-now"] === true ? Date.now() - rows.at(-1)!.timestamp : 0;
await using bus = await openBus({
  natsUrl,
  natsUser: plant.user,
  natsPassword: plant.password,
  name: "import-readings",
});
const bar = process.stdout.isTTY
  ? new SingleBar({ format: "{bar} {value} of {total} readings, {eta_formatted} left" })
  : null;
bar?.start(rows.length, 0);
if (speed === null) await sendAll(bus, rows);
else await replay(bus, rows, speed);
bar?.stop();
const [first, last] = [rows[0]!, rows.at(-1)!].map(({ timestamp }) => new Date(timestamp + shiftMs).toISOString());
console.log(
  `${rows.length} readings of sensor ${sensorId} published, ${first} to ${last}; ${problems.length} rows skipped.`,
);

async function readRows(
  path: string,
  timestampColumn: string,
  valueColumn: string,
): Promise<{ rows: Row[]; problems: string[] }> {
  const found: Row[] = [];
  const wrong: string[] = [];
  const parser = createReadStream(path).pipe(
    parse({ columns: true, bom: true, info: true, relax_column_count: true, skip_empty_lines: true, trim: true }),
  );
  for await (const { record, info } of parser as AsyncIterable<{
    record: Record<string, string>;
    info: { lines: number };
  }>) {
    if (!(timestampColumn in record) || !(valueColumn in record)) {
      if (found.length + wrong.length === 0)
        wrongUsage(
          USAGE,
          `${path} has no columns "${timestampColumn}" and "${valueColumn}"; it has ${Object.keys(record).join(", ")}`,
        );
      wrong.push(`line ${info.lines}: fewer than ${LAST_COLUMNS} columns`);
      continue;
    }
    const timestamp = timestampOf(record[timestampColumn]!);
    const text = record[valueColumn]!;
    const value = text === "" ? NaN : Number(text);
    if (typeof timestamp === "string") wrong.push(`line ${info.lines}: ${timestamp}: "${record[timestampColumn]}"`);
    else if (!Number.isFinite(value)) wrong.push(`line ${info.lines}: "${text}" is no number`);
    else found.push({ timestamp, value });
  }
  return { rows: found, problems: wrong };
}

/** As a message may carry it, and also as tables write it: "2014-04-01 00:00:00", in UTC; or a reason why not. */
function timestampOf(text: string): number | string {
  if (/^\d+$/.test(text)) return readTimestamp(text.length <= 10 ? Number(text) * 1000 : Number(text));
  const plain = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$/.exec(text);
  return readTimestamp(plain === null ? text : `${plain[1]}T${plain[2]}Z`);
}

async function send(to: Bus, part: readonly Row[]): Promise<void> {
  const body = part.map(({ timestamp, value }) => ({ value, timestamp: timestamp + shiftMs }));
  await publishBackfill(to, subjects.reading(sensor.site, sensor.key), JSON.stringify(body));
  bar?.increment(part.length);
}

async function sendAll(to: Bus, all: readonly Row[]): Promise<void> {
  for (let from = 0; from < all.length; from += READINGS_PER_MESSAGE)
    await send(to, all.slice(from, from + READINGS_PER_MESSAGE));
}

/** Each reading when its turn comes; the first one at once. */
async function replay(to: Bus, all: readonly Row[], times: number): Promise<void> {
  const begunMs = performance.now();
  const startMs = all[0]!.timestamp;
  for (let next = 0; next < all.length;) {
    const reachedMs = startMs + (performance.now() - begunMs) * times;
    let until = next;
    while (until < all.length && all[until]!.timestamp <= reachedMs && until - next < READINGS_PER_MESSAGE) until++;
    if (until > next) await send(to, all.slice(next, until));
    else await pause(REPLAY_MS);
    next = until;
  }
}
