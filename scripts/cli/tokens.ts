/** `npm run tokens`: makes, lists and revokes the tokens of REST, as an administrator does. */
import { readTimestamp } from "@calibration/shared/reading.ts";
import { NOT_RUNNING, reach } from "../local/endpoints.ts";
import { readOptions, wrongUsage } from "../local/options.ts";
import { createRest, RestError, type Rest } from "../local/rest.ts";

const USAGE = `npm run tokens -- create --role viewer|plant|operator|admin [--name NAME] [--site SITE]… [--expires TIME]
npm run tokens -- list
npm run tokens -- revoke ID
  --site      fences the token to this site; several times for several
  --expires   a time (ISO 8601 with an offset), or how long: 12h, 30d
  The token is shown once, when it is made.`;
const UNIT_MS = { h: 3_600_000, d: 86_400_000 } as const;

interface Token {
  id: number;
  name: string;
  role: string;
  sites: string[] | null;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
}

const { values, positionals } = readOptions(
  USAGE,
  {
    role: { type: "string" },
    name: { type: "string" },
    site: { type: "string", multiple: true },
    expires: { type: "string" },
  },
  true,
);
const [verb, id, ...more] = positionals;
if (verb === undefined || !["create", "list", "revoke"].includes(verb) || more.length > 0)
  wrongUsage(USAGE, "say create, list or revoke");
if (verb === "create" && values.role === undefined) wrongUsage(USAGE, "--role is left out");
if (verb === "revoke" && !/^\d+$/.test(id ?? "")) wrongUsage(USAGE, "revoke which? `list` shows the ids");
const expiresAt = values.expires === undefined ? null : readExpiry(values.expires);

const { gatewayUrl, token } = reach();
if (gatewayUrl === null || token === null) {
  console.error(NOT_RUNNING);
  process.exit(1);
}
const rest = createRest(gatewayUrl, token);
try {
  if (verb === "create") await create(rest);
  else if (verb === "list") await list(rest);
  else {
    await rest("DELETE", `/api/tokens/${id}/`);
    console.log(`token ${id} is revoked`);
  }
} catch (error) {
  console.error(error instanceof RestError ? error.message : `The gateway did not answer: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function create(rest: Rest): Promise<void> {
  const made = await rest<Token & { token: string }>("POST", "/api/tokens/", {
    role: values.role,
    name: values.name ?? `made ${new Date().toISOString().slice(0, 10)}`,
    ...(values.site === undefined ? {} : { sites: values.site }),
    ...(expiresAt === null ? {} : { expires_at: expiresAt }),
  });
  console.error(describe(made));
  // Alone on standard output, so that a script can take it.
  console.log(made.token);
}

async function list(rest: Rest): Promise<void> {
  for (let next: string | null = ""; next !== null;) {
    const page: { next: string | null; results: Token[] } = await rest("GET", `/api/tokens/?limit=1000&cursor=${next}`);
    for (const one of page.results) console.log(describe(one));
    next = page.next;
  }
}

function describe(one: Token): string {
  const parts = [
    one.role,
    JSON.stringify(one.name),
    one.sites === null ? "all sites" : `sites ${one.sites.join(", ")}`,
    one.expires_at === null ? "does not expire" : `expires ${one.expires_at}`,
    ...("last_used_at" in one ? [one.last_used_at === null ? "never used" : `last used ${one.last_used_at}`] : []),
    ...(one.revoked_at ? [`revoked ${one.revoked_at}`] : []),
  ];
  return `${one.id}: ${parts.join(" · ")}`;
}

function readExpiry(given: string): string {
  const [, count, unit] = /^(\d{1,5})([hd])$/.exec(given) ?? [];
  if (count !== undefined) return new Date(Date.now() + Number(count) * UNIT_MS[unit as "h" | "d"]).toISOString();
  const read = readTimestamp(given);
  if (typeof read === "string") wrongUsage(USAGE, `--expires ${given}: ${read}`);
  return new Date(read).toISOString();
}
