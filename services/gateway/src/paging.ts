/**
 * Lists: a page is what follows the last row's key, so that rows that come in meanwhile neither repeat nor hide any.
 * `count` is how many there were when the first page was asked for; the cursor carries it, so that it is counted once
 * however long the list is.
 */
import { Type } from "typebox";
import type pg from "pg";
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

type Key = (string | number)[];

/** What is listed, and how its rows are told. */
export interface List<R, B> {
  columns: string;
  /** The table, and the joins that `where` speaks of. */
  from: string;
  /** Joins that only `columns` speaks of: they are not counted over. */
  joins?: string;
  /** Conditions with `$` for their value; one whose value is null or undefined is left out. */
  where: readonly (readonly [condition: string, value: unknown])[];
  /** The columns that put the rows in order, unique together, with their SQL types. */
  key: readonly (readonly [column: string, type: string])[];
  keyOf(row: R): Key;
  body(row: R): B;
  /** How many there are, where somebody knows without counting. */
  total?: (() => Promise<number>) | undefined;
}

export interface Page<B> {
  count: number;
  next: string | null;
  results: B[];
}

/** Newest first unless asked otherwise. Throws `invalid_input` for a cursor that is none of this list. */
export async function listPage<R extends pg.QueryResultRow, B>(
  pool: Pick<pg.Pool, "query">,
  query: PageQuery,
  list: List<R, B>,
): Promise<Page<B>> {
  const limit = query.limit ?? LIMIT_DEFAULT;
  const cursor = readCursor(query.cursor, list.key.length);
  const values: unknown[] = [];
  const conditions = list.where.flatMap(([condition, value]) => {
    if (value === null || value === undefined) return [];
    values.push(value);
    return [condition.replaceAll("$", () => `$${values.length}`)];
  });
  const total = cursor?.total ?? (await (list.total ?? counted)());
  const { rows } = await pool.query<R>(
    `select ${list.columns} from ${list.from} ${list.joins ?? ""}
      ${whereOf(cursor === null ? conditions : [...conditions, after(values.length)])}
      order by ${list.key.map(([column]) => `${column} ${query.order ?? "desc"}`).join(", ")} limit ${limit + 1}`,
    cursor === null ? values : [...values, ...cursor.key],
  );
  const shown = rows.slice(0, limit);
  const next = rows.length > limit ? writeCursor(total, list.keyOf(shown.at(-1)!)) : null;
  return { count: total, next, results: shown.map((row) => list.body(row)) };

  async function counted(): Promise<number> {
    const { rows: sums } = await pool.query<{ total: number }>(
      `select count(*)::int8 as total from ${list.from} ${whereOf(conditions)}`,
      values,
    );
    return sums[0]!.total;
  }

  function after(used: number): string {
    const columns = list.key.map(([column]) => column).join(", ");
    const given = list.key.map(([, type], n) => `$${used + n + 1}::${type}`).join(", ");
    return `(${columns}) ${query.order === "asc" ? ">" : "<"} (${given})`;
  }
}

const whereOf = (conditions: readonly string[]): string =>
  conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`;

const writeCursor = (total: number, key: Key): string =>
  Buffer.from(JSON.stringify([total, ...key])).toString("base64url");

function readCursor(text: string | undefined, parts: number): { total: number; key: Key } | null {
  if (text === undefined || text === "") return null;
  try {
    const read: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (Array.isArray(read) && read.length === parts + 1 && read.every(isPart)) {
      const [total, ...key] = read as [unknown, ...Key];
      if (typeof total === "number" && total >= 0) return { total, key };
    }
  } catch {
    // Told below, like any other text that is no cursor.
  }
  throw invalid("/cursor", "this is no cursor of this list");
}

const isPart = (part: unknown): boolean => typeof part === "string" || Number.isSafeInteger(part);
