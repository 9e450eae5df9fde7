/** `npm run train-models`: trains now, and says of each model what came of it. */
import { readOptions, wrongUsage } from "../local/options.ts";
import { openTrainingClient, MODEL_CHOICES, printOutcome } from "../local/training-client.ts";

const USAGE = `npm run train-models -- (--sensor-id N | --all-sensors) [--model-type ${MODEL_CHOICES.join("|")}]
  exit code 0: every requested model was trained or is short of data; 1: one failed; 2: wrong usage`;
const { values } = readOptions(USAGE, {
  "sensor-id": { type: "string" },
  "all-sensors": { type: "boolean" },
  "model-type": { type: "string", default: "all" },
});
const type = MODEL_CHOICES.find((choice) => choice === values["model-type"]);
if (type === undefined)
  wrongUsage(USAGE, `--model-type is one of ${MODEL_CHOICES.join(", ")}, and not ${values["model-type"]}`);
const sensorId = values["sensor-id"] === undefined ? null : Number(values["sensor-id"]);
if ((sensorId === null) === (values["all-sensors"] !== true))
  wrongUsage(USAGE, "say either --sensor-id or --all-sensors");
if (sensorId !== null && !(Number.isInteger(sensorId) && sensorId > 0))
  wrongUsage(USAGE, `--sensor-id is a number, and not ${values["sensor-id"]}`);

await using client = await openTrainingClient();
const sensors = await client.sensorIds(sensorId);
if (sensors.length === 0) {
  console.error(sensorId === null ? "There are no sensors." : `Sensor ${sensorId} does not exist.`);
  process.exitCode = sensorId === null ? 0 : 1;
} else {
  const types = type === "all" ? (["anomaly", "drift", "calibration"] as const) : [type];
  const outcomes = await client.train(
    sensors.flatMap((id) => types.map((modelType) => ({ sensorId: id, modelType, because: null }))),
    "cli",
    printOutcome,
  );
  process.exitCode = outcomes.some(({ status }) => status === "failed") ? 1 : 0;
}
