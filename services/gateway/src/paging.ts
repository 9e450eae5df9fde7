/** Lists: a page is what follows the last row's key, so that rows that come in meanwhile neither repeat nor hide any. */
import { Type } from "typebox";
import { invalid } from "./problem.ts";

export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1000;

export const pageQuery = {
  cursor: Type.Optional(Type.String({ description: "`next` of the page before" })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT })),
  order: Type.Optional(Type.Union([Type.Literal("asc"), Type.Literal("desc")], { default: "desc" })),
};

export interface PageQuery {
  cursor?: string;
  limit?: number;
  order?: "asc" | "desc";
}

export type Cursor = (string | number)[];

/** Reads a cursor of so many parts; null: the first page. */
export function readCursor(query: PageQuery, parts: number): Cursor | null {
  if (query.cursor === undefined || query.cursor === "") return null;
  try {
    const cursor: unknown = JSON.parse(Buffer.from(query.cursor, "base64url").toString());
    if (
      Array.isArray(cursor) &&
      cursor.length === parts &&
      cursor.every((part) => typeof part === "string" || Number.isSafeInteger(part))
    )
      return cursor as Cursor;
  } catch {
    // Told below, like any other text that is no cursor.
  }
  throw invalid("/cursor", "this is no cursor of this list");
}

/** Fetch one row more than the limit; whether it came says whether there is a next page. */
export function pageOf<R, B>(
  rows: readonly R[],
  query: PageQuery,
  body: (row: R) => B,
  cursorOf: (row: R) => Cursor,
): { count: number; next: string | null; results: B[] } {
  const limit = query.limit ?? LIMIT_DEFAULT;
  const shown = rows.slice(0, limit);
  const next = rows.length > limit ? Buffer.from(JSON.stringify(cursorOf(shown.at(-1)!))).toString("base64url") : null;
  return { count: shown.length, next, results: shown.map(body) };
}

export const direction = (query: PageQuery): { sql: "asc" | "desc"; after: ">" | "<" } =>
  query.order === "asc" ? { sql: "asc", after: ">" } : { sql: "desc", after: "<" };
