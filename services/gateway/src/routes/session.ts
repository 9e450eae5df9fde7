import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import { createToken, ROLES, SESSION_COOKIE, SESSION_HOURS, type Identity } from "../auth.ts";
import { isOwnOrigin } from "../guard.ts";
import { listPage, pageQuery } from "../paging.ts";
import { invalid, Problem } from "../problem.ts";
import { IdParams, Instant, nullable, oneOf, Session } from "../schemas.ts";
import { typed, type Parts } from "../server.ts";
import { readInstant } from "../instants.ts";
import { TOKEN_PATTERN } from "@calibration/shared/topology.ts";

const NAME_MAX = 100;
const SITES_MAX = 1000;

export function sessionRoutes(scope: FastifyInstance, { pool, auth }: Parts): void {
  const app = typed(scope);
  const cookie = { path: "/", httpOnly: true, sameSite: "strict", maxAge: SESSION_HOURS * 3600 } as const;

  app.post(
    "/api/session",
    { schema: { body: Type.Object({ token: Type.Optional(Type.String()), code: Type.Optional(Type.String()) }) } },
    async (request, reply) => {
      if (request.headers.origin !== undefined && !isOwnOrigin(request))
        throw new Problem("forbidden", "a session begins on this site's own pages");
      const { token, code } = request.body;
      const tokenId =
        token !== undefined
          ? (await auth.byToken(token))?.tokenId
          : code !== undefined
            ? await auth.useCode(code)
            : undefined;
      const session = tokenId === undefined || tokenId === null ? null : await auth.begin("session", tokenId);
      // A code may outlive the token it stands for; then its session is nobody's.
      const identity = session === null ? null : await auth.bySession(session);
      if (session === null || identity === null) {
        await request.countFailure();
        throw new Problem(
          "unauthorized",
          code === undefined ? "nobody is known by this token" : "this code was used or is too old; ask for another",
        );
      }
      request.identity = identity;
      return reply
        .setCookie(SESSION_COOKIE, session, { ...cookie, secure: request.protocol === "https" })
        .send({ role: identity.role, name: identity.name });
    },
  );

  app.get("/api/session", { config: { access: "open" }, schema: { response: { 200: Session } } }, async (request) => {
    const secret = request.cookies[SESSION_COOKIE];
    const identity = secret === undefined ? null : await auth.bySession(secret);
    if (identity === null) throw new Problem("unauthorized", "nobody is signed in");
    return { role: identity.role, name: identity.name, sites: identity.sites };
  });

  app.delete("/api/session", async (request, reply) => {
    const secret = request.cookies[SESSION_COOKIE];
    if (secret !== undefined) {
      const identity = await auth.bySession(secret);
      if (identity !== null) request.identity = identity;
      await auth.end(secret);
    }
    return reply.clearCookie(SESSION_COOKIE, { path: "/" }).status(204).send();
  });

  app.post("/api/session/codes", { config: { access: "admin" } }, async ({ identity }, reply) =>
    reply.status(201).send({ code: await auth.begin("code", identity.tokenId) }),
  );

  const TokenToCreate = Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: NAME_MAX }),
      role: oneOf(ROLES),
      sites: Type.Optional(
        nullable(Type.Array(Type.String({ pattern: TOKEN_PATTERN.source }), { minItems: 1, maxItems: SITES_MAX })),
      ),
      expires_at: Type.Optional(nullable(Instant)),
    },
    { additionalProperties: false },
  );
  const Page = { querystring: Type.Object(pageQuery) };
  const byId = {
    key: [["id", "bigint"]] as const,
    keyOf: ({ id }: { id: number }) => [id],
    body: (row: object) => row,
  };

  app.get("/api/tokens", { config: { access: "admin" }, schema: Page }, ({ query, identity }) =>
    listPage<{ id: number }, object>(pool, query, {
      columns: "id, name, role, sites, created_at, expires_at, last_used_at, revoked_at",
      from: "tokens",
      where: [["sites <@ $", identity.sites]],
      ...byId,
    }),
  );
  app.post(
    "/api/tokens",
    { config: { access: "admin" }, schema: { body: TokenToCreate } },
    async ({ body, identity }, reply) => {
      const sites = body.sites ?? identity.sites;
      requireWithin(identity, sites);
      const expiresAt =
        body.expires_at === undefined || body.expires_at === null ? null : readInstant("/expires_at", body.expires_at);
      if (expiresAt !== null && expiresAt.getTime() <= Date.now())
        throw invalid("/expires_at", "a token that is over already is of no use");
      const { id, token } = await createToken(pool, {
        name: body.name,
        role: body.role,
        sites,
        expiresAt: expiresAt?.toISOString() ?? null,
      });
      return reply.status(201).send({
        id,
        token,
        name: body.name,
        role: body.role,
        sites,
        expires_at: expiresAt?.toISOString() ?? null,
      });
    },
  );
  app.delete(
    "/api/tokens/:id",
    { config: { access: "admin" }, schema: { params: IdParams } },
    async ({ params, identity }, reply) => {
      if (params.id === identity.tokenId) throw invalid("/id", "a token does not revoke itself");
      const { rowCount } = await pool.query(
        `update tokens set revoked_at = coalesce(revoked_at, now()) where ${WITHIN_FENCE} and id = $2`,
        [identity.sites, params.id],
      );
      if (rowCount === 0) throw new Problem("not_found", `there is no token ${params.id}`);
      return reply.status(204).send();
    },
  );
  app.get("/api/audit-log", { config: { access: "admin" }, schema: Page }, ({ query, identity }) =>
    listPage<{ id: number }, object>(pool, query, {
      columns: "id, at, token_id, token_name, method, path, status, detail",
      from: "audit_log",
      where: [["token_id in (select id from tokens where sites <@ $)", identity.sites]],
      ...byId,
    }),
  );
}

/** Tokens that whoever is fenced to the sites $1 may know of: those that see no more. */
const WITHIN_FENCE = "($1::text[] is null or sites <@ $1)";

function requireWithin({ sites: own }: Pick<Identity, "sites">, sites: string[] | null): void {
  if (own !== null && (sites === null || sites.some((site) => !own.includes(site))))
    throw new Problem("forbidden", `this token is fenced to ${own.join(", ")}, and makes none that sees more`);
}
