/** Somebody who has no mouse: goes from control to control, and has to see where they are. */
import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";
import { WAIT_MS } from "./plant.ts";

/** No page has so many controls that one would press the key more often. */
const STOPS_MAX = 300;

interface Focus {
  what: string;
  isSeen: boolean;
  isNowhere: boolean;
}

/** What has the focus, and whether anybody sees that: an outline of it, of what it stands for, or of what it is drawn in. */
const focusOf = (page: Page): Promise<Focus> =>
  page.evaluate<Focus>(`(() => {
    const at = document.activeElement;
    const isOutlined = (element) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    };
    const around = [at, ...(at.closest("label")?.querySelectorAll("*") ?? []), at.closest("[role=row]")].filter(Boolean);
    return {
      what: at.tagName + " " + (at.getAttribute("aria-label") ?? at.textContent).trim().slice(0, 60),
      isSeen: around.some(isOutlined),
      isNowhere: at === document.body,
    };
  })()`);

async function expectFocusSeen(page: Page): Promise<void> {
  const { what, isSeen, isNowhere } = await focusOf(page);
  expect(isNowhere || isSeen, `${what} has the focus, and nobody sees it`).toBe(true);
}

/** Waits until the control has the focus. */
export async function expectFocusOn(control: Locator): Promise<void> {
  await expect.poll(() => hasFocus(control), { timeout: WAIT_MS }).toBe(true);
}

const hasFocus = (control: Locator): Promise<boolean> =>
  control.evaluate((element) => element === element.ownerDocument.activeElement);

/** Presses Tab until the control has the focus. */
export async function tabTo(page: Page, control: Locator): Promise<void> {
  await control.waitFor({ state: "attached" });
  for (let stop = 0; stop < STOPS_MAX; stop++) {
    if (await hasFocus(control)) return;
    await page.keyboard.press("Tab");
    await expectFocusSeen(page);
  }
  throw new Error(`Tab does not lead to ${String(control)}`);
}

/** From wherever one is, Tab leads past the page's end and through all of it again; Shift and Tab lead back. */
export async function expectNoTrap(page: Page): Promise<void> {
  const begin = page.getByRole("link", { name: "Skip to the content" });
  for (const key of ["Tab", "Shift+Tab"]) {
    let ends = 0;
    for (let stop = 0; ends < 2; stop++) {
      expect(stop, `${key} is caught at ${(await focusOf(page)).what}`).toBeLessThan(STOPS_MAX);
      await page.keyboard.press(key);
      await expectFocusSeen(page);
      if (await hasFocus(begin)) ends++;
    }
  }
}
