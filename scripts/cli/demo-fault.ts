/** `npm run demo-fault`: asks the simulated plant to misbehave. */
import { ANOMALY_TYPES, type AnomalyType } from "@calibration/shared/anomaly.ts";
import { randomUUID } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { DEMO_SENSORS } from "../demo/plant.ts";
import { LOCAL, NOT_RUNNING, readEndpoints } from "../local/endpoints.ts";
import { readOptions, wrongUsage } from "../local/options.ts";

const TYPES = ANOMALY_TYPES.map((type) => (type.includes(" ") ? `"${type}"` : type)).join(" | ");
const USAGE = `npm run demo-fault -- --sensor ${DEMO_SENSORS.map(({ id }) => id).join("|")} --type ${TYPES}`;
const { values } = readOptions(USAGE, { sensor: { type: "string" }, type: { type: "string" } });
const sensor = DEMO_SENSORS.find(({ id }) => String(id) === values.sensor);
if (sensor === undefined)
  wrongUsage(USAGE, `--sensor is one of the demo plant's, and not ${values.sensor ?? "left out"}`);
if (!ANOMALY_TYPES.includes(values.type as AnomalyType))
  wrongUsage(USAGE, `--type is one of ${TYPES}, and not ${values.type ?? "left out"}`);
if (readEndpoints()?.pids["demo-plant"] === undefined) {
  console.error(
    readEndpoints() === null
      ? NOT_RUNNING
      : "The platform runs without its simulated plant; start it without --no-demo and --demo-now.",
  );
  process.exit(1);
}
const directory = `${LOCAL}/demo/faults`;
mkdirSync(directory, { recursive: true });
const file = `${directory}/${randomUUID()}`;
writeFileSync(`${file}.part`, JSON.stringify({ sensor: sensor.id, type: values.type }));
// Whole or not at all: the plant looks for .json only.
renameSync(`${file}.part`, `${file}.json`);
console.log(
  `${sensor.name} (${sensor.id}) will show: ${values.type}. Look at the dashboard, or at /api/anomalies/?sensor_id=${sensor.id}`,
);
