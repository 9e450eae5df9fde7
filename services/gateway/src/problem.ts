/** Expected trouble, as RFC 9457 tells it: one catalogue of coded errors. */

const STATUS_OF = {
  invalid_json: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  invalid_input: 422,
  insufficient_data: 422,
  rate_limited: 429,
  training_failed: 500,
  internal: 500,
  unavailable: 503,
} as const;

export type ProblemCode = keyof typeof STATUS_OF;
export const PROBLEM_CODES = Object.keys(STATUS_OF) as ProblemCode[];

export interface FieldError {
  /** Where in the body or the query, as `/settings/trees`. */
  path: string;
  message: string;
}

const TITLES: Readonly<Record<ProblemCode, string>> = {
  invalid_json: "The body is not JSON",
  unauthorized: "Who are you?",
  forbidden: "This token may not do that",
  not_found: "There is no such thing",
  method_not_allowed: "That cannot be done here",
  conflict: "That contradicts what is there",
  too_large: "That is too much at once",
  invalid_input: "Something in the request is wrong",
  insufficient_data: "Not enough data",
  rate_limited: "Too many requests",
  training_failed: "Training failed",
  internal: "Something went wrong here",
  unavailable: "Not possible at the moment",
};

/** Thrown by a route; the server answers it as `application/problem+json`. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly status: number;
  readonly extra: Record<string, unknown>;

  constructor(code: ProblemCode, detail: string, extra: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
    this.status = STATUS_OF[code];
    this.extra = extra;
  }
}

/** What is wrong with what was sent says where; where nobody knows better, of the whole. */
const BAD_INPUT: ReadonlySet<ProblemCode> = new Set(["invalid_input", "invalid_json"]);

export const problemBody = ({ code, status, message, extra }: Problem) => ({
  type: "about:blank",
  title: TITLES[code],
  status,
  code,
  detail: message,
  ...(BAD_INPUT.has(code) ? { errors: [{ path: "/", message }] satisfies FieldError[] } : {}),
  ...extra,
});

export const invalid = (path: string, message: string): Problem =>
  new Problem("invalid_input", message, { errors: [{ path, message }] satisfies FieldError[] });
