/** `npm run publish-reading`: one reading over NATS, as a plant gateway publishes it. */
import { subjects, TOKEN_PATTERN } from "@calibration/shared/topology.ts";
import { NOT_RUNNING, reach } from "../local/endpoints.ts";
import { notTaken, openBusOrEnd } from "../local/open.ts";
import { readOptions, wrongUsage } from "../local/options.ts";

const USAGE =
  "npm run publish-reading -- --sensor KEY --value NUMBER [--site main] [--timestamp TIME] [--quality good|uncertain|bad]";
const { values } = readOptions(USAGE, {
  sensor: { type: "string" },
  value: { type: "string" },
  site: { type: "string", default: "main" },
  timestamp: { type: "string" },
  quality: { type: "string" },
});
const { sensor, site, timestamp, quality } = values;
const value = Number(values.value);
if (sensor === undefined || !TOKEN_PATTERN.test(sensor)) wrongUsage(USAGE, "--sensor is the sensor's key");
if (!TOKEN_PATTERN.test(site)) wrongUsage(USAGE, `"${site}" is no site`);
if (values.value === undefined || values.value.trim() === "" || !Number.isFinite(value))
  wrongUsage(USAGE, `--value is a number, and not ${values.value ?? "left out"}`);

const { natsUrl, plant } = reach();
if (natsUrl === null) {
  console.error(NOT_RUNNING);
  process.exit(1);
}
await using bus = await openBusOrEnd({
  natsUrl,
  natsUser: plant.user,
  natsPassword: plant.password,
  name: "publish-reading",
});
const reading = {
  value,
  // Epoch milliseconds are a number in the message; as text they are no time.
  ...(timestamp === undefined ? {} : { timestamp: /^\d+$/.test(timestamp) ? Number(timestamp) : timestamp }),
  ...(quality === undefined ? {} : { quality }),
};
const { seq, stream } = await bus.jetstream
  .publish(subjects.reading(site, sensor), JSON.stringify(reading))
  .catch(notTaken);
console.log(`${subjects.reading(site, sensor)} ${JSON.stringify(reading)}: acknowledged by ${stream}, number ${seq}`);
