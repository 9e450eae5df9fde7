/** Before any route: who asks, how often, and whether that is allowed. After it: what was written, for the audit log. */
import rateLimit from "@fastify/rate-limit";
import type { Log } from "@calibration/shared/log.ts";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type pg from "pg";
import { requireAccess, SESSION_COOKIE, type Auth, type Identity } from "./auth.ts";
import { Problem } from "./problem.ts";

const MINUTE_MS = 60_000;
/** Wrong tokens and sessions of one address: enough for a dashboard whose session ended, too few to guess by. */
const FAILURES_PER_MINUTE_MAX = 60;
const READS = new Set(["GET", "HEAD", "OPTIONS"]);
/** So much of a body goes into the audit log; of a larger one, its size. */
const DETAIL_BYTES_MAX = 2_000;
const PATH_LENGTH_MAX = 300;
/** What may never be kept in the clear. */
const SECRET_FIELDS = new Set(["token", "code", "password"]);

export async function guard(
  app: FastifyInstance,
  parts: { auth: Auth; pool: Pick<pg.Pool, "query">; log: Log; requestsPerMinute: number },
): Promise<void> {
  const { auth, requestsPerMinute } = parts;
  await app.register(rateLimit, { global: false });
  const perMinute = (max: number, keyGenerator: (request: FastifyRequest) => string) =>
    app.createRateLimit({ max, timeWindow: MINUTE_MS, keyGenerator });
  const ofToken = perMinute(requestsPerMinute, ({ identity }) => String(identity.tokenId));
  const ofAddress = perMinute(requestsPerMinute, ({ ip }) => ip);
  const failuresOfAddress = perMinute(FAILURES_PER_MINUTE_MAX, ({ ip }) => ip);
  const spend = async (request: FastifyRequest, limit: typeof ofToken, name: string, what: string): Promise<void> => {
    const spent = await limit(request);
    if (spent.isAllowed || !spent.isExceeded) return;
    throw new Problem("rate_limited", `at most ${spent.max} ${what} a minute`, {
      limit: name,
      retry_after_s: spent.ttlInSeconds,
    });
  };

  app.decorateRequest("identity", null as unknown as Identity);
  app.decorateRequest("countFailure", async function countFailure(this: FastifyRequest) {
    await spend(this, failuresOfAddress, "failures_per_address", "requests without a valid token or session");
  });
  app.addHook("onRequest", async (request) => {
    const access = request.routeOptions.config.access ?? "open";
    const withoutToken = () => spend(request, ofAddress, "requests_per_address", "requests without a token");
    if (access === "open") return withoutToken();
    const identity = await identityOf(request, auth);
    // Who shows nothing guesses nothing: the answer is 401, as often as a request without a token is answered at all.
    if (identity === null) await (showsSecret(request) ? request.countFailure() : withoutToken());
    requireIdentity(identity);
    request.identity = identity;
    await spend(request, ofToken, "requests_per_token", "requests with this token");
    requireAccess(identity, access);
    if (identity.byCookie && !READS.has(request.method) && !isOwnOrigin(request))
      throw new Problem("forbidden", "a write with a cookie must come from this site's own pages");
  });
  app.addHook("onSend", async (request, reply, payload) => {
    if (isWrite(request)) await keepAudit(parts, request, reply.statusCode);
    return payload;
  });
}

declare module "fastify" {
  interface FastifyRequest {
    /** Counts an answer of 401. Throws `rate_limited` where there were too many. */
    countFailure(): Promise<void>;
  }
}

function requireIdentity(identity: Identity | null): asserts identity is Identity {
  if (identity === null) throw new Problem("unauthorized", "send Authorization: Bearer TOKEN, or sign in");
}

const showsSecret = ({ headers, cookies }: Pick<FastifyRequest, "headers" | "cookies">): boolean =>
  headers.authorization !== undefined || cookies[SESSION_COOKIE] !== undefined;

/** Null where nobody is known by what the request carries. */
export async function identityOf(
  request: Pick<FastifyRequest, "headers" | "cookies">,
  auth: Pick<Auth, "byToken" | "bySession">,
): Promise<Identity | null> {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (bearer !== undefined) return auth.byToken(bearer);
  const session = request.cookies[SESSION_COOKIE];
  return session === undefined ? null : auth.bySession(session);
}

export function isOwnOrigin(request: FastifyRequest): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return false;
  try {
    return new URL(origin).host === request.headers.host;
  } catch {
    return false;
  }
}

/** Of somebody we know, also where it was refused; what nobody known sends is counted, not kept: it would fill the table. */
export function isWrite({ method, identity, routeOptions }: FastifyRequest): boolean {
  return identity !== null && !READS.has(method) && routeOptions.config.access !== "compute";
}

async function keepAudit(
  { pool, log }: { pool: Pick<pg.Pool, "query">; log: Log },
  request: FastifyRequest,
  status: number,
): Promise<void> {
  const { tokenId, name } = request.identity;
  const path = request.url.split("?")[0]!.slice(0, PATH_LENGTH_MAX);
  const insert = (detail: string | null) =>
    pool.query(
      "insert into audit_log (token_id, token_name, method, path, status, detail) values ($1, $2, $3, $4, $5, $6)",
      [tokenId, name, request.method, path, status, detail],
    );
  try {
    // A body may hold what PostgreSQL's JSON cannot, as half a surrogate pair; then the line stands without it.
    await insert(detailOf(request)).catch(() => insert(null));
  } catch (error) {
    log.error(
      { error, tokenId, tokenName: name, method: request.method, path, status },
      "a write is missing from the audit log",
    );
  }
}

/** What was written, short and without secrets. */
function detailOf({ body, query, url }: FastifyRequest): string | null {
  const asked = Object.keys(query as object).length === 0 ? {} : { query };
  if (url.startsWith("/api/readings"))
    return JSON.stringify({ ...asked, readings: Array.isArray(body) ? body.length : 1 });
  if (body === undefined || body === null) return Object.keys(asked).length === 0 ? null : JSON.stringify(asked);
  const text = JSON.stringify({ ...asked, body }, (field, value: unknown) =>
    SECRET_FIELDS.has(field) ? "…" : typeof value === "string" ? value.replaceAll("\0", "") : value,
  );
  return text.length <= DETAIL_BYTES_MAX ? text : JSON.stringify({ ...asked, body_length: text.length });
}
