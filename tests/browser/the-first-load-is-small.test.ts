/** What a browser has to fetch before the first page shows, as the built files have it. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const DIST = fileURLToPath(new URL("../../packages/dashboard/dist/", import.meta.url));
/** Compressed as every browser accepts it. */
const FIRST_LOAD_BYTES_MAX = 350 * 1024;

it("the first load is under 350 KB, and what is not needed for it comes later", () => {
  const page = readFileSync(`${DIST}index.html`, "utf8");
  const first = [...page.matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, file]) => file!);
  expect(first.some((file) => file.endsWith(".js"))).toBe(true);
  expect(first.some((file) => file.endsWith(".css"))).toBe(true);
  const bytes = ["index.html", ...first].reduce((sum, file) => sum + statSync(`${DIST}${file}.gz`).size, 0);
  expect(bytes).toBeLessThan(FIRST_LOAD_BYTES_MAX);
  // Other pages are files of their own.
  expect(readdirSync(`${DIST}assets`).filter((file) => file.endsWith(".js")).length).toBeGreaterThan(
    first.filter((file) => file.endsWith(".js")).length,
  );
  // The gateway's policy allows no script within the page.
  expect(page).not.toMatch(/<script(?![^>]*src=)/);
});
