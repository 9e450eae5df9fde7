/**
 * Who asks, and what that allows. Tokens, sessions and codes are 256 random bits and kept as their SHA-256 only, which is also how
 * they are found: no secret is ever compared with another, so how long an answer takes says nothing of one.
 */
import { createHash, randomBytes } from "node:crypto";
import type pg from "pg";
import { Problem } from "./problem.ts";

export type Role = "viewer" | "plant" | "operator" | "admin";
export const ROLES: readonly Role[] = ["viewer", "plant", "operator", "admin"];

/** What a route asks of whoever calls it. */
export type Access = "open" | "read" | "compute" | "publish" | "operate" | "admin";

const ALLOWED: Readonly<Record<Role, readonly Access[]>> = {
  viewer: ["read", "compute"],
  plant: ["publish"],
  operator: ["read", "compute", "publish", "operate"],
  admin: ["read", "compute", "publish", "operate", "admin"],
};

export interface Identity {
  tokenId: number;
  name: string;
  role: Role;
  /** Null: all sites. */
  sites: string[] | null;
  /** By a browser's cookie: then a write must come from our own pages. */
  byCookie: boolean;
}

export const SESSION_COOKIE = "calibration_session";
export const SESSION_HOURS = 12;
const CODE_MINUTES = 60 * 24;
/** A revoked token may work this much longer, counted from before the question that last found it good: half of what is promised. */
const REMEMBER_MS = 1_000;
/** How exactly `last_used_at` is kept. */
const LAST_USE_S = 60;
const REMEMBERED_MAX = 10_000;

const hash = (secret: string): string => createHash("sha256").update(secret).digest("hex");

export interface Auth {
  /** Null where nobody is known by it. */
  byToken(token: string): Promise<Identity | null>;
  bySession(secret: string): Promise<Identity | null>;
  /** A secret of a session, or of a one-time code that may begin one, for a token. */
  begin(kind: "session" | "code", tokenId: number): Promise<string>;
  /** Uses a code up; the token it stands for. */
  useCode(code: string): Promise<number | null>;
  end(secret: string): Promise<void>;
}

export function createAuth(pool: pg.Pool): Auth {
  const remembered = new Map<string, { identity: Identity | null; untilMs: number }>();
  const TOKEN_COLUMNS = 't.id as "tokenId", t.name, t.role, t.sites';
  const VALID = "t.revoked_at is null and (t.expires_at is null or t.expires_at > now())";
  const recall = async (key: string, find: () => Promise<Identity | null>): Promise<Identity | null> => {
    const askedMs = Date.now();
    const known = remembered.get(key);
    if (known !== undefined && known.untilMs > askedMs) return known.identity;
    const identity = await find();
    if (remembered.size >= REMEMBERED_MAX) remembered.clear();
    // A slow answer is as old as its question.
    remembered.set(key, { identity, untilMs: askedMs + REMEMBER_MS });
    return identity;
  };
  return {
    byToken: (token) =>
      recall(hash(token), async () => {
        const { rows } = await pool.query<Omit<Identity, "byCookie">>(
          `with known as (select ${TOKEN_COLUMNS}, t.last_used_at from tokens t where t.sha256 = $1 and ${VALID}),
                used as (update tokens set last_used_at = now() from known
                          where id = known."tokenId" and (known.last_used_at is null or known.last_used_at < now() - interval '${LAST_USE_S} seconds'))
           select "tokenId", name, role, sites from known`,
          [hash(token)],
        );
        return rows[0] === undefined ? null : { ...rows[0], byCookie: false };
      }),
    bySession: (secret) =>
      recall(`session ${hash(secret)}`, async () => {
        const { rows } = await pool.query<Omit<Identity, "byCookie">>(
          `select ${TOKEN_COLUMNS} from sessions s join tokens t on t.id = s.token_id
            where s.sha256 = $1 and s.kind = 'session' and s.expires_at > now() and ${VALID}`,
          [hash(secret)],
        );
        return rows[0] === undefined ? null : { ...rows[0], byCookie: true };
      }),
    async begin(kind, tokenId) {
      const secret = randomBytes(32).toString("base64url");
      const minutes = kind === "session" ? SESSION_HOURS * 60 : CODE_MINUTES;
      await pool.query("delete from sessions where expires_at < now()");
      await pool.query(
        "insert into sessions (sha256, kind, token_id, expires_at) values ($1, $2, $3, now() + make_interval(mins => $4))",
        [hash(secret), kind, tokenId, minutes],
      );
      return secret;
    },
    async useCode(code) {
      const { rows } = await pool.query<{ token_id: number }>(
        "delete from sessions where sha256 = $1 and kind = 'code' and expires_at > now() returning token_id",
        [hash(code)],
      );
      return rows[0]?.token_id ?? null;
    },
    async end(secret) {
      remembered.delete(`session ${hash(secret)}`);
      await pool.query("delete from sessions where sha256 = $1", [hash(secret)]);
    },
  };
}

/** Makes the tokens that exist from the start; one that was revoked stays so. */
export async function keepBootstrapTokens(pool: pg.Pool, json: string): Promise<void> {
  if (json === "") return;
  const given = JSON.parse(json) as Record<string, unknown>;
  for (const role of ROLES) {
    const token = given[role];
    if (typeof token !== "string" || token === "") continue;
    await pool.query("insert into tokens (name, role, sha256) values ($1, $2, $3) on conflict (sha256) do nothing", [
      `${role} of this installation`,
      role,
      hash(token),
    ]);
  }
}

export async function createToken(
  pool: pg.Pool,
  asked: { name: string; role: Role; sites: string[] | null; expiresAt: string | null },
): Promise<{ id: number; token: string }> {
  const token = randomBytes(32).toString("base64url");
  const { rows } = await pool.query<{ id: number }>(
    "insert into tokens (name, role, sites, sha256, expires_at) values ($1, $2, $3, $4, $5) returning id",
    [asked.name, asked.role, asked.sites, hash(token), asked.expiresAt],
  );
  return { id: rows[0]!.id, token };
}

export function requireAccess(identity: Identity, access: Access): void {
  if (!ALLOWED[identity.role].includes(access))
    throw new Problem("forbidden", `the role ${identity.role} may not do this`);
}
