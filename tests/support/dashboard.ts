/** A whole platform with the demo's sensors and a week of their readings, and an administrator before its dashboard. */
import type { Browser } from "playwright-core";
import type { TestContext } from "vitest";
import { openChromium, openVisitor, type Visitor } from "./browser.ts";
import { openPlant, type Plant } from "./plant.ts";
import { openGateway } from "./rest.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const HISTORY_DAYS = 7;
const EVERY_MS = 5 * MINUTE_MS;
const BEYOND_AGO_MS = 2 * DAY_MS;

export interface Scene extends Visitor {
  browser: Browser;
  plant: Plant;
  gateway: Awaited<ReturnType<typeof openGateway>>;
}

export interface SceneSensor {
  id: number;
  name: string;
  type: string;
  /** About which its readings lie. */
  level: number;
  /** More is beyond its range. */
  most: number;
  /** It once measured more than that, two days ago. */
  wasBeyond?: true;
}

export const SENSORS: readonly SceneSensor[] = [
  { id: 13, name: "Cooling Tank Pressure", type: "Pressure", level: 4.2, most: 10 },
  { id: 14, name: "Humidity Chamber Sensor", type: "Humidity", level: 55, most: 100 },
  { id: 15, name: "Conveyor Vibration Sensor", type: "Vibration", level: 2.4, most: 50 },
  { id: 17, name: "Reactor Temp Sensor", type: "Temperature", level: 82, most: 95 },
  { id: 18, name: "Compressor Pressure Sensor", type: "Pressure", level: 7.5, most: 8.2, wasBeyond: true },
  { id: 19, name: "Warehouse Humidity Sensor", type: "Humidity", level: 48, most: 100 },
  { id: 20, name: "Motor Vibration Sensor", type: "Vibration", level: 3.6, most: 50 },
];

/** Opens the browser and an empty plant with the first story that needs them; the others go on where that one left them. */
export function createScene(stack: AsyncDisposableStack): (context: TestContext) => Promise<Scene> {
  let opening: Promise<Scene> | undefined;
  return (context) =>
    (opening ??= (async () => {
      const browser = await openChromium(context);
      stack.defer(() => browser.close());
      const plant = stack.use(await openPlant({ services: ["ingest", "anomaly", "drift", "calibration", "trainer"] }));
      const gateway = await openGateway(plant);
      return { browser, plant, gateway, ...(await openVisitor(browser, gateway)) };
    })());
}

/** Makes the sensors and publishes their readings up to the last whole minute, which is answered. */
export async function publishHistory(
  { plant, gateway }: Pick<Scene, "plant" | "gateway">,
  sensors: readonly SceneSensor[] = SENSORS,
): Promise<number> {
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const begin = now - HISTORY_DAYS * DAY_MS;
  const times = Array.from({ length: (HISTORY_DAYS * DAY_MS) / EVERY_MS }, (_, n) => begin + n * EVERY_MS);
  const beyond = now - BEYOND_AGO_MS;
  for (const { id, name, type, level, most, wasBeyond } of sensors) {
    const { body } = await gateway.ask("POST", "/api/sensors/", {
      id,
      name,
      type,
      range_min: 0,
      range_max: most,
      expected_interval_s: 86_400,
    });
    await plant.publish(
      body as { site: string; key: string },
      times.map((timestamp, n) => ({
        timestamp,
        value: wasBeyond === true && timestamp === beyond ? 1.05 * most : valueAt(level, timestamp, n),
      })),
    );
  }
  return now;
}

/** A day's swing and a little noise. */
export const valueAt = (level: number, timestamp: number, n: number): number =>
  Math.round(
    1000 *
      level *
      (1 + 0.02 * Math.sin((timestamp / DAY_MS) * 2 * Math.PI) + 0.004 * Math.sin(n * 1.7) * Math.sin(n * n)),
  ) / 1000;
