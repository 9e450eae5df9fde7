/**
 *   strange payloads ──▶ READINGS ──▶ four services      each one kept, a repeat, or a dead letter; nobody ends
 *   strange requests, drawn from the OpenAPI document ──▶ gateway      an answer that is ours, and never a 500
 *
 * `npm run chaos -- --input` draws 20 000 of them.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant, type RunningService } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";
import { strangeJson, strangePayload, strangeString } from "../support/strange.ts";
import { needsSpareTime } from "../support/time.ts";

const CASES = Number(process.env["CHAOS_CASES"] ?? 400);
const SEED = Number(process.env["CHAOS_SEED"] ?? 1);
/** Sites and keys that nobody has, and some that nobody can have. */
const STRANGE_NAMES = [
  "main.nobody",
  "nowhere.odd",
  "main.kü",
  "🌡️.odd",
  "main.a$b",
  "$SYS.odd",
  "main.%00",
  "main.\u0000",
  "main.\u0001",
  "main.__proto__",
  "constructor.toString",
  `main.${"x".repeat(64)}`,
  `${"s".repeat(65)}.odd`,
  `main.${"x".repeat(900)}`,
  "main.'; drop table readings; --".replaceAll(" ", "_"),
];
const IN_FLIGHT = 50;
const ANSWER_MS_MAX = 120_000;
const HEARS = ["ingest", "anomaly", "drift", "calibration"] as const;
/** What a service may hold more after all of it than after its beginning. */
const GROWTH_BYTES_MAX = 300 * 1024 * 1024;

it("whatever is published is kept, a repeat, or a dead letter, and ends no service", async (context) => {
  needsSpareTime(context);
  await using plant = await openPlant();
  const services: RunningService[] = [];
  for (const name of HEARS) services.push(await plant.start(name));
  const sensor = await plant.aSensor({ id: 1, key: "odd" });
  const payloads = [...fc.sample(strangePayload, { numRuns: CASES, seed: SEED }), ...largePayloads()];
  const claimed = payloads.reduce((sum, payload) => sum + claims(payload), 0);
  // Tokens that are none of ours are a dead letter too, by their own reason.
  const nameOf = (n: number) =>
    n % 10 === 0 ? STRANGE_NAMES[(n / 10) % STRANGE_NAMES.length]! : `${sensor.site}.${sensor.key}`;
  for (let start = 0; start < payloads.length; start += IN_FLIGHT)
    await Promise.all(
      payloads
        .slice(start, start + IN_FLIGHT)
        .map((payload, n) =>
          plant.gateway.jetstream.publish(`readings.${nameOf(start + n)}`, payload, { timeout: WAIT_MS }),
        ),
    );
  const end = (await plant.bus.manager.streams.info("READINGS")).state.last_seq;
  expect(end).toBeGreaterThanOrEqual(payloads.length);
  await untilPassed(plant);
  const counted = async (pattern: RegExp): Promise<number> => {
    const rows = await plant.rows<{ key: string; n: number }>(
      "select key, sum(value::int8)::int as n from stream_positions, jsonb_each_text(counters) where service = 'ingest' group by 1",
    );
    return rows.filter(({ key }) => pattern.test(key)).reduce((sum, { n }) => sum + n, 0);
  };
  expect(await counted(/^(kept|repeated|dead\/.*)$/)).toBe(claimed);
  expect(await counted(/^kept$/)).toBeGreaterThan(0);
  // Nobody failed on any of them, however strange.
  expect(
    await plant.rows(
      "select detail, left(encode(payload, 'escape'), 2000) as payload from dead_letters where reason = 'processing_failed'",
    ),
  ).toEqual([]);
  for (const service of services) expect(service.process.exitCode).toBeNull();
});

/** Ten thousand with one that is none among them, and those that are just small enough, just too large, and much too large. */
function largePayloads(): Uint8Array[] {
  const many: unknown[] = Array.from({ length: 10_000 }, (_, n) => ({
    value: n % 50,
    timestamp: 1_700_000_000_000 + n,
  }));
  many[5_000] = { value: "hot" };
  const padded = (bytes: number) => {
    const start = '{"value": 1, "timestamp": 1710000000000, "note": "';
    return `${start}${"x".repeat(bytes - start.length - 2)}"}`;
  };
  return [JSON.stringify(many), ...[1024 ** 2, 1024 ** 2 + 1, 7 * 1024 ** 2].map(padded)].map((text) =>
    Buffer.from(text),
  );
}

/** How many readings a payload claims to carry; what cannot be read counts as one. */
function claims(payload: Uint8Array): number {
  try {
    const body: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
    return Array.isArray(body) ? Math.max(1, body.length) : 1;
  } catch {
    return 1;
  }
}

async function untilPassed(plant: Plant): Promise<void> {
  const { state } = await plant.bus.manager.streams.info("READINGS", { subjects_filter: "readings.>" });
  const ends = new Map<number, number>();
  for (const subject of Object.keys(state.subjects ?? {})) {
    const last = await plant.bus.manager.streams.getMessage("READINGS", { last_by_subj: subject });
    const partition = Number(subject.split(".")[1]);
    ends.set(partition, Math.max(ends.get(partition) ?? 0, last!.seq));
  }
  await expect
    .poll(
      async () => {
        const rows = await plant.rows<{ service: string; partition: number; kept: number }>(
          "select service, partition, kept from stream_positions",
        );
        return HEARS.flatMap((service) =>
          [...ends].filter(
            ([partition, end]) =>
              (rows.find((row) => row.service === service && row.partition === partition)?.kept ?? 0) < end,
          ),
        );
      },
      { timeout: WAIT_MS, interval: 200 },
    )
    .toEqual([]);
}

interface Parameter {
  in: "path" | "query";
  name: string;
}
interface Operation {
  method: string;
  path: string;
  parameters: readonly Parameter[];
  body: Schema | null;
}
interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
}

it("whatever is asked of any route is answered, in our words, and never with a 500", async (context) => {
  needsSpareTime(context);
  await using plant = await openPlant();
  const { url, tokens, ask, service } = await openGateway(plant, { REQUESTS_PER_MINUTE: "10000000" });
  for (const id of [1, 2, 3]) await plant.aSensor({ id });
  const operations = await operationsOf(await ask("GET", "/api/openapi.json"));
  expect(operations.length).toBeGreaterThan(25);
  const memory = () => ask("GET", "/healthz").then(() => residentBytes(service.process.pid!));
  let before = 0;
  const wrong: string[] = [];
  const answered = new Map<string, number>();
  const draws = fc.sample(requestTo(operations), { numRuns: CASES, seed: SEED });
  for (const [n, request] of draws.entries()) {
    if (n === Math.floor(CASES / 4)) before = await memory();
    const abort = new AbortController();
    const slow = setTimeout(() => abort.abort(new Error("no answer")), ANSWER_MS_MAX);
    try {
      const response = await fetch(`${url}${request.path}`, {
        method: request.method,
        headers: { authorization: `Bearer ${tokens["admin"]!}`, "content-type": request.type },
        ...(request.body === null ? {} : { body: request.body }),
        signal: abort.signal,
      });
      answered.set(request.operation, response.status);
      const type = response.headers.get("content-type") ?? "";
      const text = type.startsWith("text/event-stream") ? "" : await response.text();
      abort.abort();
      if (response.status >= 500) wrong.push(`${response.status} ${describe(request)} → ${text.slice(0, 300)}`);
      else if (response.status >= 400) {
        const problem = JSON.parse(text) as { code?: string };
        if (!type.includes("application/problem+json") || typeof problem.code !== "string")
          wrong.push(`${response.status} without a code: ${describe(request)}`);
        if (
          /node_modules|\bat \w+ \(|select .* from|insert into/i.test(text.replaceAll(request.path, "")) &&
          !text.includes("drop table")
        )
          wrong.push(`tells of our insides: ${describe(request)} → ${text.slice(0, 300)}`);
      }
    } catch (error) {
      if (!abort.signal.aborted || (error as Error).message === "no answer")
        wrong.push(`${(error as Error).message}: ${describe(request)}`);
    } finally {
      clearTimeout(slow);
    }
  }
  expect(wrong.slice(0, 20)).toEqual([]);
  expect(service.process.exitCode).toBeNull();
  // Most operations were tried.
  expect(answered.size).toBeGreaterThan(operations.length / 2);
  expect((await memory()) - before).toBeLessThan(GROWTH_BYTES_MAX);
  expect((await ask("GET", "/readyz")).status).toBe(200);
});

async function operationsOf({
  body,
}: {
  body: { paths: Record<string, Record<string, never>> };
}): Promise<Operation[]> {
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(
      methods as Record<
        string,
        { parameters?: Parameter[]; requestBody?: { content: Record<string, { schema: Schema }> } }
      >,
    ).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: Object.values(requestBody?.content ?? {})[0]?.schema ?? null,
    })),
  );
}

interface Asked {
  operation: string;
  method: string;
  path: string;
  body: string | null;
  type: string;
}

const describe = ({ method, path, body }: Asked): string =>
  `${method} ${path.slice(0, 300)} ${body?.slice(0, 300) ?? ""}`;

/** The tokens the test itself asks with; whoever revokes them proves nothing. */
const OWN_TOKENS = /^\/api\/tokens\/0*[1-9]\/?/;

function requestTo(operations: readonly Operation[]): fc.Arbitrary<Asked> {
  return fc.constantFrom(...operations).chain((operation) =>
    fc
      .record({
        values: fc.array(fc.oneof(fc.constantFrom("1", "2", "999999"), strangeString), { minLength: 6, maxLength: 6 }),
        asked: fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }),
        query: fc.array(fc.oneof(strangeString, fc.constantFrom("1", "2026-01-01T00:00:00Z", "asc", "true", "raw")), {
          minLength: 24,
          maxLength: 24,
        }),
        // A token of a path of its own, drawn so that ids stay apart.
        body: operation.body === null ? fc.oneof(fc.constant(null), strangeJson) : bodyOf(operation.body),
        broken: fc.nat(30),
        slash: fc.boolean(),
      })
      .map(({ values, asked, query, body, broken, slash }) => {
        let n = 0;
        let path = operation.path.replaceAll(/\{[^}]+\}/g, () => escaped(values[n++ % values.length]!));
        if (OWN_TOKENS.test(path) || (operation.method === "DELETE" && path.startsWith("/api/tokens")))
          path = "/api/tokens/none";
        const pairs = operation.parameters
          .filter((parameter) => parameter.in === "query")
          .filter((_, index) => asked[index % asked.length])
          .map(({ name }, index) => `${name}=${escaped(query[index % query.length]!)}`);
        // Training that is waited for takes a trainer; what is asked of it here is the asking.
        if (operation.path.startsWith("/api/model-training")) pairs.push("async=true");
        const text =
          operation.method === "GET" || operation.method === "DELETE" || body === null ? null : JSON.stringify(body);
        return {
          operation: `${operation.method} ${operation.path}`,
          method: operation.method,
          path: `${path}${slash && !path.endsWith("/") ? "/" : ""}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`,
          // Now and then it is cut off, which makes it no JSON.
          body: text !== null && broken === 0 ? text.slice(0, Math.floor(text.length / 2)) : text,
          type: broken === 1 ? "text/plain" : "application/json",
        };
      }),
  );
}

/** As a client escapes it, but for what cannot be escaped, and a lone percent sign as it stands. */
function escaped(text: string): string {
  if (text === "%zz" || text === "%00") return text;
  return encodeURIComponent(text.toWellFormed()).slice(0, 4_000).replace(/%.?$/, "");
}

/** What the document asks for, with something else in some of its places. */
function bodyOf(schema: Schema): fc.Arbitrary<unknown> {
  const right = (of: Schema): fc.Arbitrary<unknown> => {
    if (of.const !== undefined) return fc.constant(of.const);
    if (of.enum !== undefined) return fc.constantFrom(...of.enum);
    if (of.anyOf !== undefined) return fc.oneof(...of.anyOf.map(right));
    if (of.type === "object" || of.properties !== undefined)
      return fc.record(
        Object.fromEntries(
          Object.entries(of.properties ?? {}).map(([name, part]) => [
            name,
            fc.oneof({ weight: 4, arbitrary: right(part) }, { weight: 1, arbitrary: strangeJson }),
          ]),
        ),
        { requiredKeys: [] },
      );
    if (of.type === "array") return fc.array(right(of.items ?? {}), { maxLength: 5 });
    if (of.type === "integer") return fc.constantFrom(1, 2, 3, 0, -1, 2 ** 31, 2 ** 53);
    if (of.type === "number") return fc.double({ noNaN: true, noDefaultInfinity: true });
    if (of.type === "boolean") return fc.boolean();
    if (of.type === "string")
      return fc.oneof(strangeString, fc.constantFrom("2026-01-01T00:00:00Z", "main", "linear", "Temperature"));
    return strangeJson;
  };
  return fc.oneof({ weight: 4, arbitrary: right(schema) }, { weight: 1, arbitrary: strangeJson });
}

async function residentBytes(pid: number): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  // Elsewhere than on Linux there is nothing to read, and nothing is compared.
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}
