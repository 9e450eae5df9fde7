/** A real Chromium, and somebody who sits before it: signed in, looking at the dashboard as people do. */
import { createRequire } from "node:module";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { expect, inject, type TestContext } from "vitest";
import { WAIT_MS } from "./plant.ts";
import type { Ask } from "./rest.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/** A build that comes from the npm registry, for Linux on x64. */
const NPM_BUILD = { name: "@sparticuz/chromium", version: "153.0.0" };
const BRING_MS_MAX = 10 * 60_000;
const REMEDY = "set CHROMIUM_PATH, or put chromium on the PATH";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** What WCAG 2.2 AA asks for, as far as a program can see it. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

interface Found {
  path: string;
  environment: Record<string, string>;
}

/** Launches Chromium; skips the test where there is none, and fails it where `REQUIRE` names the browser. */
export async function openChromium(context: Pick<TestContext, "skip">): Promise<Browser> {
  const found = await findChromium();
  if (found === null) {
    const reason = `no Chromium was found: ${REMEDY}`;
    if ((process.env["REQUIRE"] ?? "").split(",").includes("browser")) throw new Error(reason);
    return context.skip(reason);
  }
  return chromium.launch({
    executablePath: found.path,
    args: ARGUMENTS,
    timeout: WAIT_MS,
    env: { ...(process.env as Record<string, string>), ...found.environment },
  });
}

async function findChromium(): Promise<Found | null> {
  const given = process.env["CHROMIUM_PATH"];
  if (given !== undefined && given !== "") return { path: given, environment: {} };
  const onPath = findOnPath();
  if (onPath !== null) return { path: onPath, environment: {} };
  return (await bringNpmBuild()) ?? bringDebianPackage();
}

function findOnPath(): string | null {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    for (const name of NAMES) {
      try {
        accessSync(join(directory, name), constants.X_OK);
        return join(directory, name);
      } catch {
        // Not here.
      }
    }
  }
  return null;
}

/** Once for a checkout. It is made in a folder of its own and then renamed, so that two that bring it at once do not meet. */
async function bringNpmBuild(): Promise<Found | null> {
  if (process.platform !== "linux" || process.arch !== "x64") return null;
  const ready = join(inject("localDirectory"), "chromium", NPM_BUILD.version);
  if (!existsSync(ready)) {
    mkdirSync(dirname(ready), { recursive: true });
    const making = mkdtempSync(join(dirname(ready), "making-"));
    try {
      writeFileSync(join(making, "package.json"), '{ "private": true }\n');
      const wanted = `${NPM_BUILD.name}@${NPM_BUILD.version}`;
      const installed = spawnSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", wanted], {
        cwd: making,
        encoding: "utf8",
        timeout: BRING_MS_MAX,
      });
      if (installed.status !== 0) throw new Error(installed.stderr || installed.error?.message);
      const unpacked = spawnSync(process.execPath, ["--input-type=module", "--eval", UNPACK], {
        cwd: making,
        encoding: "utf8",
        timeout: BRING_MS_MAX,
        env: { ...process.env, TMPDIR: making },
      });
      if (unpacked.status !== 0) throw new Error(unpacked.stderr);
      rmSync(join(making, "node_modules"), { recursive: true });
      if (!existsSync(ready)) renameSync(making, ready);
    } catch (error) {
      console.log(`Chromium did not come from npm: ${(error as Error).message.split("\n")[0]}`);
      return null;
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  const path = join(ready, "chromium");
  const lacks = spawnSync("ldd", [path], { encoding: "utf8" }).stdout.includes("not found");
  const hasFonts = existsSync("/etc/fonts/fonts.conf");
  return {
    path,
    environment: {
      ...(lacks ? { LD_LIBRARY_PATH: join(ready, "al2023", "lib") } : {}),
      ...(hasFonts ? {} : { FONTCONFIG_PATH: join(ready, "fonts") }),
    },
  };
}

/** The package unpacks into the temporary directory; the libraries that a bare machine lacks it leaves packed elsewhere than on Amazon Linux. */
const UNPACK = `
  import Chromium, { inflate } from "${NPM_BUILD.name}";
  await Chromium.executablePath();
  await inflate("node_modules/${NPM_BUILD.name}/bin/al2023.tar.br");
`;

function bringDebianPackage(): Found | null {
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return null;
  const run = (...args: string[]) =>
    spawnSync("apt-get", args, {
      encoding: "utf8",
      timeout: BRING_MS_MAX,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  run("update", "-qq");
  if (run("install", "-y", "-qq", "--no-install-recommends", "chromium").status !== 0) return null;
  const path = findOnPath();
  return path === null ? null : { path, environment: {} };
}

export interface Visitor {
  page: Page;
  context: BrowserContext;
  /** What the page complained of in its console: scripts that failed, what the content security policy refused. */
  complaints: string[];
}

/** Signs in by the printed link as an administrator, or by a token that was given. */
export async function openVisitor(
  browser: Browser,
  gateway: { url: string; ask: Ask },
  { token, isPhone = false }: { token?: string; isPhone?: boolean } = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    viewport: isPhone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
    hasTouch: isPhone,
    timezoneId: "Europe/Berlin",
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  if (token === undefined) {
    const { body } = await gateway.ask("POST", "/api/session/codes/");
    await page.goto(`${gateway.url}/?code=${(body as { code: string }).code}`);
  } else {
    await page.goto(gateway.url);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  await page.getByRole("heading", { name: "Plant" }).waitFor();
  return { page, context, complaints };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface AxeResults {
  violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
}

/** What keeps people out of the page as it is now, in both themes, and whether it can be used on a narrow screen. */
export async function expectUsable(page: Page, name: string): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    // As a string, for the page's policy allows no script that it did not bring; the debugger's may.
    await page.evaluate(axeSource);
    const { violations } = await page.evaluate<AxeResults>(
      `axe.run(document, { runOnly: ${JSON.stringify(RULES)}, resultTypes: ["violations"] })`,
    );
    const found = violations.map(({ id, help, nodes }) => ({
      id,
      help,
      nodes: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`),
    }));
    expect(found, `${name}, ${theme}`).toEqual([]);
    await keepPicture(page, `${name}-1440-${theme}`);
  }
  const { width, height } = page.viewportSize()!;
  await page.setViewportSize({ width: 390, height: 844 });
  await expect
    .poll(() => page.evaluate("document.documentElement.scrollWidth"), {
      timeout: WAIT_MS,
      message: `${name} at 390 px`,
    })
    .toBeLessThanOrEqual(390);
  await keepPicture(page, `${name}-390-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await keepPicture(page, `${name}-390-light`);
  await page.setViewportSize({ width, height });
}

/** Evidence of what the test saw. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = join(inject("localDirectory"), "evidence");
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), timeout: WAIT_MS });
}
