/** The simulated plant in a container: its history once, its models, then live. */
import { openBus } from "@calibration/shared/bus.ts";
import { setTimeout as pause } from "node:timers/promises";
import { makeCalibrations, makeSensors, publishHistory } from "../scripts/demo/history.ts";
import { DEMO_SENSORS, HISTORY_DAYS, MINUTE_MS } from "../scripts/demo/plant.ts";
import { createRest } from "../scripts/local/rest.ts";
import { readSecrets, secretOf } from "./secrets.ts";

const env = process.env;
const password = secretOf(readSecrets(), "nats_plant");
const rest = createRest(env["GATEWAY_URL"]!, env["API_TOKEN"]!);
const endMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
const firstMs = async (): Promise<number | null> => {
  const { results } = await rest<{ results: { timestamp: string }[] }>(
    "GET",
    `/api/readings/?sensor_id=${DEMO_SENSORS[0]!.id}&order=asc&limit=1`,
  );
  return results[0] === undefined ? null : Date.parse(results[0].timestamp);
};

await makeSensors(rest);
let beganMs = await firstMs();
if (beganMs === null) {
  await makeCalibrations(rest, endMs);
  {
    await using bus = await openBus({
      natsUrl: env["NATS_URL"]!,
      natsUser: "plant",
      natsPassword: password,
      name: "demo history",
    });
    await publishHistory(bus, endMs, () => undefined);
  }
  console.log("the history is published");
  for (let lag = 1; lag > 0; await pause(1000)) {
    const { lag: now, readings } = await rest<{ lag: Record<string, number>; readings: { total: number } }>(
      "GET",
      "/api/ml-analytics/",
    );
    lag = readings.total === 0 ? 1 : Math.max(...Object.values(now));
  }
  await rest("POST", "/api/model-training/", { sensor_id: "all", model_type: "all" });
  beganMs = endMs - HISTORY_DAYS * 86_400_000;
}
Object.assign(env, { NATS_PASSWORD: password, FAULTS_DIRECTORY: "/tmp/faults", EPOCH_MS: String(beganMs) });
await import("../scripts/demo/live.ts");
