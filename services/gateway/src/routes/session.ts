import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import { createToken, ROLES, SESSION_COOKIE, SESSION_HOURS } from "../auth.ts";
import { invalid, Problem } from "../problem.ts";
import { IdParams, Instant, nullable, oneOf } from "../schemas.ts";
import { isOwnOrigin, typed, type Parts } from "../server.ts";
import { readInstant } from "../instants.ts";

const NAME_MAX = 100;

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
      if (tokenId === undefined || tokenId === null)
        throw new Problem(
          "unauthorized",
          code === undefined ? "nobody is known by this token" : "this code was used or is too old; ask for another",
        );
      const session = await auth.begin("session", tokenId);
      const identity = await auth.bySession(session);
      return reply
        .setCookie(SESSION_COOKIE, session, cookie)
        .send({ role: identity?.role ?? null, name: identity?.name ?? null });
    },
  );

  app.get("/api/session", { config: { access: "open" } }, async (request) => {
    const secret = request.cookies[SESSION_COOKIE];
    const identity = secret === undefined ? null : await auth.bySession(secret);
    if (identity === null) throw new Problem("unauthorized", "nobody is signed in");
    return { role: identity.role, name: identity.name, sites: identity.sites };
  });

  app.delete("/api/session", async (request, reply) => {
    const secret = request.cookies[SESSION_COOKIE];
    if (secret !== undefined) await auth.end(secret);
    return reply.clearCookie(SESSION_COOKIE, { path: "/" }).status(204).send();
  });

  app.post("/api/session/codes", { config: { access: "admin" } }, async ({ identity }, reply) =>
    reply.status(201).send({ code: await auth.begin("code", identity.tokenId) }),
  );

  const TokenToCreate = Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: NAME_MAX }),
      role: oneOf(ROLES),
      sites: Type.Optional(nullable(Type.Array(Type.String(), { minItems: 1 }))),
      expires_at: Type.Optional(nullable(Instant)),
    },
    { additionalProperties: false },
  );
  app.get("/api/tokens", { config: { access: "admin" } }, async () => {
    const { rows } = await pool.query(
      "select id, name, role, sites, created_at, expires_at, last_used_at, revoked_at from tokens order by id desc limit 1000",
    );
    return { count: rows.length, next: null, results: rows };
  });
  app.post("/api/tokens", { config: { access: "admin" }, schema: { body: TokenToCreate } }, async ({ body }, reply) => {
    const expiresAt =
      body.expires_at === undefined || body.expires_at === null
        ? null
        : readInstant("/expires_at", body.expires_at).toISOString();
    const { id, token } = await createToken(pool, {
      name: body.name,
      role: body.role,
      sites: body.sites ?? null,
      expiresAt,
    });
    return reply
      .status(201)
      .send({ id, token, name: body.name, role: body.role, sites: body.sites ?? null, expires_at: expiresAt });
  });
  app.delete(
    "/api/tokens/:id",
    { config: { access: "admin" }, schema: { params: IdParams } },
    async ({ params, identity }, reply) => {
      if (params.id === identity.tokenId) throw invalid("/id", "a token does not revoke itself");
      const { rowCount } = await pool.query(
        "update tokens set revoked_at = coalesce(revoked_at, now()) where id = $1",
        [params.id],
      );
      if (rowCount === 0) throw new Problem("not_found", `there is no token ${params.id}`);
      return reply.status(204).send();
    },
  );
  app.get("/api/audit-log", { config: { access: "admin" } }, async () => {
    const { rows } = await pool.query("select * from audit_log order by id desc limit 1000");
    return { count: rows.length, next: null, results: rows };
  });
}
