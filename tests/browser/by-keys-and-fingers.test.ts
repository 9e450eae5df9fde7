/**
 *   keys, two fingers, a slow line ──▶ Chromium ──▶ gateway ──▶ the whole platform
 *
 * Each page's main task without a mouse; the chart under fingers; and what is reported, not judged, of how quick it is: that
 * depends on the machine, and goes to `.local/evidence/speed.json`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CDPSession, Locator, Page } from "playwright-core";
import { afterAll, describe, expect, inject, it } from "vitest";
import { openVisitor } from "../support/browser.ts";
import { createScene, publishHistory, SENSORS, valueAt } from "../support/dashboard.ts";
import { expectFocusOn, expectNoTrap, tabTo } from "../support/keys.ts";
import { WAIT_MS } from "../support/plant.ts";
import { needsSpareTime } from "../support/time.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const openScene = createScene(stack);

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const READINGS_PER_MESSAGE = 10_000;
const speed: Record<string, unknown> = {};

function report(what: string, figures: unknown): void {
  speed[what] = figures;
  const folder = join(inject("localDirectory"), "evidence");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "speed.json"), `${JSON.stringify(speed, null, 2)}\n`);
  console.log(`${what}: ${JSON.stringify(figures)}`);
}

const spanOf = (page: Page): number => {
  const { searchParams } = new URL(page.url());
  return Number(searchParams.get("to")) - Number(searchParams.get("from"));
};

describe("the dashboard without a mouse", () => {
  it("does each page's main task by keys alone, with the focus always in sight and never caught", async (context) => {
    const { page, plant, gateway, complaints } = await openScene(context);
    const now = await publishHistory(
      { plant, gateway },
      SENSORS.filter(({ id }) => id === 13 || id === 17),
    );
    await plant.publish({ site: "main", key: "17" }, { value: 97, timestamp: now });
    await plant.publish({ site: "main", key: "13" }, { value: 180, timestamp: now });
    await plant.publish({ site: "north", key: "boiler-7" }, { value: 7, timestamp: now });
    await page.getByRole("link", { name: /Anomalies [2-9]/ }).waitFor();
    const goTo = async (name: RegExp) => {
      await tabTo(page, page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name }));
      await page.keyboard.press("Enter");
      // Whoever goes there is there, and not in the navigation still.
      await page.getByRole("heading", { level: 1, name }).waitFor();
      await expect.poll(() => page.evaluate("document.activeElement.id"), { timeout: WAIT_MS }).toBe("main");
    };

    // The plant: the sensor that was looked for.
    await tabTo(page, page.getByRole("searchbox"));
    await page.keyboard.type("reactor");
    await tabTo(page, page.getByRole("link", { name: "Reactor Temp Sensor" }));
    await expectNoTrap(page);
    await tabTo(page, page.getByRole("link", { name: "Reactor Temp Sensor" }));
    await page.keyboard.press("Enter");

    // The sensor: moved and zoomed in time, to the anomaly on the line, why it is one, and resolved.
    await page.getByRole("heading", { name: "Reactor Temp Sensor" }).waitFor();
    const chart = page.getByRole("application", { name: /Readings in °C/ });
    await tabTo(page, chart);
    await page.getByText(/Keys: ← → move/).waitFor();
    await page.getByRole("button", { name: /Undecided|Spike/ }).waitFor();
    for (const key of ["+", "ArrowLeft"]) {
      const before = page.url();
      await page.keyboard.press(key);
      await expect.poll(() => page.url(), { timeout: WAIT_MS }).not.toBe(before);
    }
    const zoomed = spanOf(page);
    await page.keyboard.press("-");
    await expect.poll(() => spanOf(page), { timeout: WAIT_MS }).toBeGreaterThan(zoomed);
    await page.keyboard.press("ArrowUp");
    await page.getByRole("button", { name: /Undecided|Spike/, expanded: true }).waitFor();
    await page.keyboard.press("Enter");
    await expectFocusOn(page.locator("button[aria-expanded=true]"));
    await expectNoTrap(page);
    await tabTo(page, page.getByRole("button", { name: "Resolve…" }));
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Resolve this anomaly" }).waitFor();
    await page.keyboard.type("a test of the probe");
    await tabTo(page, page.getByRole("dialog").getByRole("button", { name: "Resolve" }));
    await page.keyboard.press("Enter");
    await page.getByText(/Resolved by a person.*a test of the probe/).waitFor();

    // Its settings: changed, one of them from a list.
    await tabTo(page, page.getByRole("button", { name: "Change…" }));
    await page.keyboard.press("Enter");
    const settings = page.getByRole("dialog", { name: "Settings of Reactor Temp Sensor" });
    await settings.waitFor();
    await tabTo(page, settings.getByRole("checkbox", { name: "day of week" }));
    await page.keyboard.press("Space");
    await tabTo(page, settings.getByRole("combobox", { name: "Time zone" }));
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("new york");
    await page.getByRole("option", { name: "America/New_York" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await tabTo(page, settings.getByRole("button", { name: "Save" }));
    await page.keyboard.press("Enter");
    await page.getByText("America/New_York").waitFor();
    await page.getByText("value, hour of day", { exact: true }).waitFor();
    await expectFocusOn(page.getByRole("button", { name: "Change…" }));

    // The anomalies: chosen, and resolved.
    await goTo(/Anomalies/);
    await tabTo(page, page.getByRole("checkbox", { name: /Choose .* of Cooling Tank Pressure/ }));
    await page.keyboard.press("Space");
    await expectNoTrap(page);
    await tabTo(page, page.getByRole("button", { name: "Resolve…" }).first());
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    // Escape leads out, and back to where one was.
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count(), { timeout: WAIT_MS }).toBe(0);
    await expectFocusOn(page.getByRole("button", { name: "Resolve…" }).first());
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo(page, page.getByRole("dialog").getByRole("button", { name: "Resolve" }));
    await page.keyboard.press("Enter");
    await page.getByText("No open alarms").waitFor();

    // The models: one is trained, and its versions are shown.
    await gateway.ask("POST", "/api/model-training/", { sensor_id: 17, model_type: "drift" });
    await goTo(/Models/);
    await tabTo(page, page.getByRole("button", { name: "Train now drift_model_Reactor_Temp_Sensor_17" }));
    await page.keyboard.press("Enter");
    await page.getByText(/Finished: 1 trained/).waitFor();
    await tabTo(page, page.getByRole("button", { name: "Versions of drift_model_Reactor_Temp_Sensor_17" }));
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Use v1" }).waitFor();
    await expectNoTrap(page);

    // The calibrations: one is recorded.
    await goTo(/Calibrations/);
    await tabTo(page, page.getByRole("button", { name: "Record a calibration" }));
    await page.keyboard.press("Enter");
    await page.getByRole("combobox", { name: "Sensor" }).waitFor();
    await page.keyboard.type("cooling");
    await page.getByRole("option", { name: /Cooling Tank/ }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByLabel(/The reference says/).waitFor();
    await tabTo(page, page.getByLabel(/The reference says/));
    await page.keyboard.type("4.1");
    await expectNoTrap(page);
    await tabTo(page, page.getByRole("button", { name: "Record it" }));
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /Cooling Tank Pressure.*4\.100 bar/ }).waitFor();

    // The system: a sender gets its sensor.
    await goTo(/System/);
    await expectNoTrap(page);
    await tabTo(page, page.getByRole("button", { name: "Register… boiler-7" }));
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.type("Boiler 7");
    await tabTo(page, page.getByRole("button", { name: "Register and replay" }));
    await page.keyboard.press("Enter");
    await page.getByText("None: every reading that was published belongs to a sensor.").waitFor();
    // And a site another budget of false alarms.
    await tabTo(page, page.getByRole("button", { name: "Change the budget… of main" }));
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "False alarms at main" }).waitFor();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("2.5");
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /^main 2 2\.5 none/ }).waitFor();
    await expectFocusOn(page.getByRole("button", { name: "Change the budget… of main" }));
    // Nothing moves by itself where that was asked for.
    expect(await page.evaluate("document.getAnimations().length")).toBe(0);
    expect(complaints).toEqual([]);
  });

  it("moves a line of fifty thousand readings with one finger, and stretches it with two", async (context) => {
    needsSpareTime(context);
    const { browser, plant, gateway } = await openScene(context);
    const count = 50_000;
    const begin = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - count * MINUTE_MS;
    const readings = Array.from({ length: count }, (_, n) => ({
      timestamp: begin + n * MINUTE_MS,
      value: valueAt(21, begin + n * MINUTE_MS, n),
    }));
    await gateway.ask("POST", "/api/sensors/", { id: 50, name: "Long Line", type: "Flow" });
    for (let n = 0; n < count; n += READINGS_PER_MESSAGE)
      await plant.publish({ site: "main", key: "50" }, readings.slice(n, n + READINGS_PER_MESSAGE));
    const kept = () => plant.rows<{ n: number }>("select count(*)::int as n from readings where sensor_id = 50");
    await expect.poll(async () => (await kept())[0]!.n, { timeout: WAIT_MS }).toBe(count);

    const visitor = await openVisitor(browser, gateway, { isPhone: true });
    const { page } = visitor;
    await page.goto(`${gateway.url}/sensors/50?from=${begin}&to=${begin + count * MINUTE_MS}`);
    await page.getByText(/means of 1 h/).waitFor();
    const place = (await page.locator(".chart .u-over").boundingBox())!;
    const fingers = await openFingers(page, place);
    await page.evaluate(WATCH_FRAMES);
    for (let n = 0; n < 5; n++) await fingers.move([[0.8, 0.2]]);
    report("a line of 50,000 readings under a finger, 4 times slowed down", await page.evaluate("endFrames()"));
    await expect.poll(() => new URL(page.url()).searchParams.get("from"), { timeout: WAIT_MS }).not.toBe(String(begin));
    const span = spanOf(page);
    expect(span).toBe(count * MINUTE_MS);
    await fingers.move([
      [0.45, 0.2],
      [0.55, 0.8],
    ]);
    await expect.poll(() => spanOf(page), { timeout: WAIT_MS }).toBeLessThan(span / 3);
    // A finger that rests before it leaves holds nothing: what is chosen then is what is moved next.
    const before = page.url();
    await fingers.move([[0.5, 0.6]], () => expect.poll(() => page.url(), { timeout: WAIT_MS }).not.toBe(before));
    await page.getByText("24 h", { exact: true }).click();
    await expect.poll(() => new URL(page.url()).searchParams.get("span"), { timeout: WAIT_MS }).toBe("24");
    await fingers.move([[0.5, 0.6]]);
    await expect.poll(() => spanOf(page), { timeout: WAIT_MS }).toBeGreaterThan(0);
    expect(spanOf(page)).toBeLessThan(2 * DAY_MS);
    await visitor.context.close();
  });

  it("can be used soon on a slow line and a slow machine; how soon is reported", async (context) => {
    needsSpareTime(context);
    const { browser, gateway } = await openScene(context);
    const visitor = await openVisitor(browser, gateway);
    const { page } = visitor;
    for (const [name, line] of Object.entries(LINES)) {
      const session = await page.context().newCDPSession(page);
      await session.send("Network.enable");
      await session.send("Network.clearBrowserCache");
      await session.send("Network.emulateNetworkConditions", { offline: false, ...line });
      await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
      const begun = performance.now();
      await page.goto(gateway.url, { waitUntil: "commit" });
      await page.getByRole("searchbox").fill("reactor");
      await expect.poll(() => page.getByRole("row").count(), { timeout: WAIT_MS, interval: 10 }).toBe(2);
      const answeredMs = Math.round(performance.now() - begun);
      const { paintedMs, bytes } = await page.evaluate<{ paintedMs: number; bytes: number }>(LOADED);
      report(`the first page, ${name}, ${SLOWER} times slowed down`, {
        paintedMs,
        answeredMs,
        kilobytes: bytes / 1024,
      });
      expect(bytes).toBeLessThan(350 * 1024);
      await session.detach();
    }
    await visitor.context.close();
  });
});

const SLOWER = 4;
const bits = (megabits: number): number => (megabits * 1e6) / 8;
const LINES = {
  "4 Mbit/s and 60 ms": { latency: 60, downloadThroughput: bits(4), uploadThroughput: bits(3) },
  "1.6 Mbit/s and 150 ms": { latency: 150, downloadThroughput: bits(1.6), uploadThroughput: bits(0.75) },
};
const LOADED = `({
  paintedMs: Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1),
  bytes: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ name }) => !new URL(name).pathname.startsWith("/api/"))
    .reduce((sum, { transferSize }) => sum + transferSize, 0),
})`;
const WATCH_FRAMES = `
  globalThis.frames_ = [];
  globalThis.watching_ = true;
  (function look(before) {
    requestAnimationFrame((now) => { if (before !== undefined) frames_.push(now - before); if (watching_) look(now); });
  })();
  globalThis.endFrames = () => {
    watching_ = false;
    const sorted = frames_.toSorted((a, b) => a - b);
    const at = (share) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] * 10) / 10;
    return { frames: sorted.length, medianMs: at(0.5), p95Ms: at(0.95), longestMs: at(1) };
  };
`;

/** Real touches, as the browser's debugger makes them. Each finger goes from one place across the chart to another, 0 to 1. */
async function openFingers(page: Page, place: NonNullable<Awaited<ReturnType<Locator["boundingBox"]>>>) {
  const session: CDPSession = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
  const steps = 40;
  const y = place.y + place.height / 2;
  return {
    async move(
      fingers: readonly (readonly [from: number, to: number])[],
      rest: () => Promise<unknown> = async () => undefined,
    ): Promise<void> {
      const touch = (type: "touchStart" | "touchMove" | "touchEnd", share: number) =>
        session.send("Input.dispatchTouchEvent", {
          type,
          touchPoints:
            type === "touchEnd"
              ? []
              : fingers.map(([from, to], id) => ({ id, x: place.x + place.width * (from + (to - from) * share), y })),
        });
      await touch("touchStart", 0);
      for (let step = 1; step <= steps; step++) await touch("touchMove", step / steps);
      await rest();
      await touch("touchEnd", 1);
    },
  };
}
