/** The repository itself, for what has once gone wrong. */
import { conversations } from "@calibration/shared/topology.ts";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { documents } from "../scripts/docs.ts";

const root = new URL("..", import.meta.url);
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(new URL(file, root)));
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const sources = files.filter((file) => /\.(ts|mjs|js)$/.test(file));

describe("the repository", () => {
  it("names no place of the machine it was written on", () => {
    const own = "tests/tidy.test.ts";
    const named = files.filter(
      (file) =>
        file !== own &&
        !file.endsWith("pnpm-lock.yaml") &&
        /\/work\/|\/home\/[a-z]+\/|\/tmp\/[a-z]+26/.test(read(file)),
    );
    expect(named).toEqual([]);
  });

  it("has a card for every service that tells what it hears, says, keeps, and when it breaks", () => {
    for (const service of ["ingest", "anomaly", "drift", "calibration", "trainer", "gateway"]) {
      const card = read(`services/${service}/README.md`);
      for (const word of ["Hears", "Says", "Keeps", "Knobs", "When it breaks"]) expect(card).toContain(`**${word}`);
    }
  });

  it("has papers that follow from the code as it is: npm run docs", () => {
    for (const [file, text] of Object.entries(documents())) expect(read(file)).toBe(text);
  });

  it("says in the runbook what to do about every alert", () => {
    const headings = [...read("docs/RUNBOOK.md").matchAll(/^##+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^a-z0-9 -]/g, "")
        .replaceAll(" ", "-"),
    );
    const alerts = [...read("deploy/observability/alerts.yml").matchAll(/- alert: (\w+)|runbook: \S+#(\S+)/g)];
    const places = alerts.flatMap(([, , place]) => place ?? []);
    expect(places.length).toBe(alerts.length / 2);
    expect(places.filter((place) => !headings.includes(place))).toEqual([]);
  });

  it("has a README that is read in one go", () => {
    expect(read("README.md").split("\n").length).toBeLessThanOrEqual(151);
  });

  it("has links that lead somewhere", () => {
    const lost = files
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) =>
        [...read(file).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
          .filter(([, target]) => !existsSync(new URL(target!, new URL(file, root))))
          .map(([, target]) => `${file} → ${target}`),
      );
    expect(lost).toEqual([]);
  });

  it("keeps clocks, dice and servers out of what must give the same answer twice", () => {
    const pure = sources.filter(
      (file) => /^(packages\/models\/src|services\/[a-z]+\/src\/core)\//.test(file) && !file.endsWith(".test.ts"),
    );
    expect(pure.length).toBeGreaterThan(5);
    const code = (file: string): string => read(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const impure = pure.filter((file) =>
      /Date\.now|new Date\(\)|Math\.random|from "(pg|fastify|@nats-io)/.test(code(file)),
    );
    expect(impure).toEqual([]);
  });

  it("has services that do not import each other", () => {
    const crossing = sources.filter(
      (file) =>
        file.startsWith("services/") &&
        /from "@calibration\/(ingest|anomaly|drift|calibration|trainer|gateway)/.test(read(file)),
    );
    expect(crossing).toEqual([]);
  });

  it("has a journey for every subject that is kept", () => {
    const journeys = sources
      .filter((file) => /^tests\/(journeys|faults)\//.test(file))
      .map(read)
      .join("\n");
    const said = conversations.filter(({ stream }) => stream !== null).map(({ subject }) => subject.split("<")[0]!);
    expect(said.length).toBeGreaterThan(5);
    expect(said.filter((beginning) => !journeys.includes(beginning))).toEqual([]);
  });

  it("spells subjects in one place", () => {
    const spelling = sources.filter(
      (file) =>
        (file.startsWith("services/") || file.startsWith("packages/")) &&
        !file.endsWith(".test.ts") &&
        file !== "packages/shared/src/topology.ts" &&
        /[`"](readings|corrected|events|dead)\.\$\{/.test(read(file)),
    );
    expect(spelling).toEqual([]);
  });

  it("names in .env.example exactly what the compose file can be told", () => {
    const asked = [...read("docker-compose.yml").matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name);
    const named = [...read(".env.example").matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(asked));
  });

  it("builds the image with the pnpm and the Node that a start brings", () => {
    const version = (name: string): string | undefined =>
      new RegExp(`const ${name} = "([^"]+)"`).exec(read("scripts/bootstrap.mjs"))?.[1];
    const dockerfile = read("Dockerfile");
    expect(dockerfile).toContain(`@${version("PNPM_VERSION")}"`);
    const bases = [...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map(([, major]) => major);
    expect(new Set(bases)).toEqual(new Set([version("NODE_VERSION")?.split(".")[0]]));
  });
});
