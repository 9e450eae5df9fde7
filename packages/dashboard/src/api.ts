/** What the gateway answers, typed by the schemas it checks itself with, and how it is asked. */
import type * as schemas from "@calibration/gateway/schemas.ts";
import type { Static } from "typebox";

export type Sensor = Static<typeof schemas.Sensor>;
export type Anomaly = Static<typeof schemas.Anomaly>;
export type Reading = Static<typeof schemas.Reading>;
export type Attention = Static<typeof schemas.Attention>;
export type Bucket = Static<typeof schemas.Bucket>;
export type ExpectedHour = Static<typeof schemas.ExpectedHour>;
export type Calibration = Static<typeof schemas.Calibration>;
export type Model = Static<typeof schemas.Model>;
export type Promotion = Static<typeof schemas.Promotion>;
export type TrainingRun = Static<typeof schemas.TrainingRun>;
export type DriftPrediction = Static<typeof schemas.DriftPrediction>;
export type DeadLetter = Static<typeof schemas.DeadLetter>;
export type DeadLetterGroup = Static<typeof schemas.DeadLetterGroup>;
export type Site = Static<typeof schemas.Site>;
export type System = Static<typeof schemas.System>;
export type Session = Static<typeof schemas.Session>;
export type AuditLine = Static<typeof schemas.AuditLine>;
export type Token = Static<typeof schemas.Token>;
export type Role = Session["role"];

export interface Page<T> {
  count: number;
  next: string | null;
  results: T[];
}

/** The API's limit of a page. */
export const PAGE_MAX = 1000;
/** A sensor list beyond this is cut: the browser would hold more than a person can look through. */
const PAGES_MAX = 100;

/** An answer that is no success, as RFC 9457 tells it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly body: Record<string, unknown>;

  constructor(status: number, body: { code?: string; detail?: string } & Record<string, unknown>) {
    super(body.detail ?? `The gateway answered ${status}.`);
    this.status = status;
    this.code = body.code ?? "";
    this.body = body;
  }
}

const signedOutListeners = new Set<() => void>();
/** Calls back when an answer says that nobody is signed in any more. */
export function onSignedOut(listener: () => void): () => void {
  signedOutListeners.add(listener);
  return () => void signedOutListeners.delete(listener);
}
export const tellSignedOut = (): void => {
  for (const listener of signedOutListeners) listener();
};

export interface Asking {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** Throws {@link ApiError}, or a TypeError where the gateway cannot be reached. */
export async function ask<T>(path: string, { method = "GET", body, signal }: Asking = {}): Promise<T> {
  const response = await fetch(path, {
    method,
    ...(signal === undefined ? {} : { signal }),
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  if (response.ok) return (response.status === 204 ? null : await response.json()) as T;
  const problem = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.status === 401 && !path.startsWith("/api/session")) tellSignedOut();
  throw new ApiError(response.status, problem);
}

/** A query string of what is given; undefined, null and "" are left out. */
export function query(given: Record<string, string | number | boolean | null | undefined>): string {
  const kept = Object.entries(given).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return kept.length === 0 ? "" : `?${new URLSearchParams(kept.map(([name, value]) => [name, String(value)]))}`;
}

/** Every page of a list, as it comes. */
export async function* pagesOf<T>(
  path: string,
  given: Record<string, string>,
  signal?: AbortSignal,
): AsyncGenerator<Page<T>> {
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer: Page<T> = await ask(`${path}${query({ ...given, limit: PAGE_MAX, cursor })}`, { signal });
    yield answer;
    if (answer.next === null) return;
    cursor = answer.next;
  }
}

/** What went wrong, for a person. */
export function problemText(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return "The gateway cannot be reached. Is the platform running, and the network up?";
  return error instanceof Error ? error.message : String(error);
}
