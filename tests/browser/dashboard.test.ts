/**
 *   a person ──▶ Chromium ──▶ gateway ──▶ the whole platform
 *
 * Each page's main task, as a person does it. One plant for all of them: each story goes on from where the one before left it.
 */
import { afterAll, describe, expect, it, type TestContext } from "vitest";
import { expectUsable, keepPicture, openChromium, openVisitor, type Visitor } from "../support/browser.ts";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";
import { needsSpareTime } from "../support/time.ts";

const MINUTE_MS = 60_000;
const HISTORY_MINUTES = 3 * 24 * 60;
const EVERY_MINUTES = 5;
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

interface Scene extends Visitor {
  plant: Plant;
  gateway: Awaited<ReturnType<typeof openGateway>>;
}
let opening: Promise<Scene> | undefined;

/** Opens the browser and the plant with the first story that needs them. */
function openScene(context: TestContext): Promise<Scene> {
  opening ??= (async () => {
    const browser = await openChromium(context);
    stack.defer(() => browser.close());
    const plant = stack.use(await openPlant({ services: ["ingest", "anomaly", "drift", "calibration", "trainer"] }));
    const gateway = await openGateway(plant);
    return { plant, gateway, ...(await openVisitor(browser, gateway)) };
  })();
  return opening;
}

describe("the dashboard", () => {
  it("says in an empty plant how to begin, and shows the first reading when it comes", async (context) => {
    const { page, plant, complaints } = await openScene(context);
    expect(await page.title()).toContain("Calibration Platform");
    expect(page.url()).not.toContain("code=");
    await page.getByText("publish the first reading").waitFor();
    await page.getByText("npm run publish-reading").waitFor();
    await expectUsable(page, "plant-empty");

    await page.getByRole("button", { name: "Add the first sensor" }).click();
    await page.getByLabel("Name").fill("Inlet Flow");
    await page.getByRole("button", { name: "Temperature Type" }).click();
    await page.getByRole("option", { name: "Flow" }).click();
    await page.getByLabel("Key").fill("inlet-1");
    await page.getByRole("button", { name: "Add the sensor" }).click();
    const row = page.getByRole("row", { name: "Inlet Flow" });
    await row.getByText("never").waitFor();
    await plant.publish({ site: "main", key: "inlet-1" }, { value: 21.4, timestamp: Date.now() });
    await row.getByText("21.40").waitFor();
    await row.getByText("Online").waitFor();
    expect(complaints).toEqual([]);
  });

  it("puts the sensor that needs somebody first, and finds any by search and filter", async (context) => {
    const { page, plant, gateway } = await openScene(context);
    const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
    const times = Array.from(
      { length: HISTORY_MINUTES / EVERY_MINUTES },
      (_, n) => now - HISTORY_MINUTES * MINUTE_MS + n * EVERY_MINUTES * MINUTE_MS,
    );
    for (const { id, name, type, level } of [
      { id: 13, name: "Cooling Tank Pressure", type: "Pressure", level: 4.2 },
      { id: 17, name: "Reactor Temp Sensor", type: "Temperature", level: 82 },
    ]) {
      const { body: sensor } = await gateway.ask("POST", "/api/sensors/", {
        id,
        name,
        type,
        range_min: 0,
        range_max: 100,
        expected_interval_s: 86_400,
      });
      await plant.publish(
        sensor as { site: string; key: string },
        times.map((timestamp, n) => ({
          timestamp,
          value: level * (1 + 0.01 * Math.sin((timestamp / 86_400_000) * 2 * Math.PI) + 0.002 * Math.sin(n * 1.7)),
        })),
      );
    }
    await plant.publish({ site: "main", key: "17" }, { value: 140, timestamp: now });
    const rows = page.getByRole("table", { name: "Sensors" }).getByRole("row");
    await expect.poll(() => rows.nth(1).textContent(), { timeout: WAIT_MS }).toMatch(/Critical|Warning/);
    expect(await rows.nth(1).textContent()).toContain("Reactor Temp Sensor");
    await expect.poll(() => rows.nth(1).textContent(), { timeout: WAIT_MS }).toContain("140.0");
    // The badge beside Anomalies counts the same alarm.
    await page.getByRole("link", { name: /Anomalies 1/ }).waitFor();
    await page.getByRole("img", { name: /last 24 hours: 4\./ }).waitFor();
    await expectUsable(page, "plant");

    await page.getByRole("searchbox").fill("tank 13");
    await expect.poll(() => rows.count(), { timeout: WAIT_MS }).toBe(2);
    expect(await rows.nth(1).textContent()).toContain("Cooling Tank Pressure");
    expect(new URL(page.url()).search).toContain("tank");
    await page.getByRole("searchbox").fill("no such thing");
    await page.getByText("No sensor is like that").waitFor();
    await page.getByRole("button", { name: "Show all sensors" }).click();
    await expect.poll(() => rows.count(), { timeout: WAIT_MS }).toBe(4);
  });

  it("says that it is cut off, how old what it shows is, and goes on by itself", async (context) => {
    needsSpareTime(context);
    const { page, gateway, plant } = await openScene(context);
    await page.getByRole("status").getByText("Live").waitFor();
    const port = new URL(gateway.url).port;
    await gateway.service.kill();
    await page.getByText("Reconnecting…").waitFor();
    await page.getByText(/Stale since \d/).waitFor();
    await page.getByText(/No connection to the platform/).waitFor();
    await keepPicture(page, "stale-1440-light");
    await openGateway(plant, { PORT: port });
    await page.getByRole("status").getByText("Live").waitFor();
    expect(await page.getByText(/No connection to the platform/).count()).toBe(0);
  });
});
