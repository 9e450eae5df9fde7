/**
 * Builds the dashboard into `dist/` where that is not what the sources say: a stamp of their content lies beside it. Every file is
 * also there compressed, so that the gateway compresses nothing while somebody waits.
 */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(ROOT, "dist");
const STAMP = join(DIST, ".stamp");
/** What the built files follow from, beside the sources of the workspace that are bundled with them. */
const SOURCES = [
  "src",
  "public",
  "index.html",
  "vite.config.ts",
  "build.ts",
  "package.json",
  "../models/src",
  "../shared/src",
];
const LOCK = "../../pnpm-lock.yaml";
const BUILD_MS_MAX = 10 * 60_000;
const COMPRESSED = /\.(js|css|html|svg)$/;

/** Builds if needed; true where it did. Two at the same time build twice, and the last one stands. */
export async function buildDashboard(): Promise<boolean> {
  const wanted = stampOf();
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return false;
  const made = join(ROOT, `.building-${randomBytes(4).toString("hex")}`);
  try {
    await promisify(execFile)(
      process.execPath,
      [join(ROOT, "node_modules/vite/bin/vite.js"), "build", "--outDir", made, "--emptyOutDir", "--logLevel", "warn"],
      { cwd: ROOT, timeout: BUILD_MS_MAX, env: { ...process.env, NODE_ENV: "production" } },
    );
    for (const file of filesIn(made).filter((name) => COMPRESSED.test(name))) {
      const content = readFileSync(file);
      writeFileSync(`${file}.br`, brotliCompressSync(content));
      writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
    }
    writeFileSync(join(made, ".stamp"), wanted);
    rmSync(DIST, { recursive: true, force: true });
    renameSync(made, DIST);
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`The dashboard could not be built:\n${stdout}${stderr}`, { cause: error });
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return true;
}

function stampOf(): string {
  const hash = createHash("sha256");
  for (const source of [...SOURCES, LOCK]) {
    const path = join(ROOT, source);
    if (!existsSync(path)) continue;
    const files = source.endsWith("src") || source === "public" ? filesIn(path) : [path];
    for (const file of files) hash.update(file.slice(ROOT.length)).update(readFileSync(file));
  }
  return hash.digest("hex");
}

const filesIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();

if (import.meta.main) console.log((await buildDashboard()) ? "built" : "up to date");
