/** Reading settings from the environment: pure, every problem reported in one error, the result frozen. */

export type Env = Readonly<Record<string, string | undefined>>;

export interface Knob<T> {
  /** The environment variable. */
  name: string;
  fallback?: T;
  /** A sentence for `docs/KNOBS.md`. */
  meaning: string;
  parse: (text: string) => T | undefined;
  /** What a good value looks like, for the error. */
  expects: string;
}

export const text = (name: string, meaning: string, fallback?: string): Knob<string> => ({
  name,
  meaning,
  expects: "text",
  parse: (given) => given,
  ...(fallback === undefined ? {} : { fallback }),
});

export const integer = (
  name: string,
  meaning: string,
  fallback: number,
  least: number,
  most: number,
): Knob<number> => ({
  name,
  meaning,
  fallback,
  expects: `an integer from ${least} to ${most}`,
  parse: (given) => {
    const value = Number(given);
    return Number.isInteger(value) && value >= least && value <= most ? value : undefined;
  },
});

export const oneOf = <T extends string>(
  name: string,
  meaning: string,
  choices: readonly T[],
  fallback: T,
): Knob<T> => ({
  name,
  meaning,
  fallback,
  expects: `one of ${choices.join(", ")}`,
  parse: (given) => choices.find((choice) => choice === given),
});

type Values<K extends Record<string, Knob<unknown>>> = {
  readonly [P in keyof K]: K[P] extends Knob<infer T> ? T : never;
};

/** @throws Error that names every setting that is missing or wrong. */
export function readKnobs<K extends Record<string, Knob<unknown>>>(knobs: K, env: Env): Values<K> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [field, knob] of Object.entries(knobs)) {
    const given = env[knob.name] ?? "";
    if (given === "") {
      if ("fallback" in knob) values[field] = knob.fallback;
      else problems.push(`${knob.name} is missing: ${knob.meaning}`);
      continue;
    }
    const value = knob.parse(given);
    if (value === undefined) problems.push(`${knob.name} must be ${knob.expects}`);
    else values[field] = value;
  }
  if (problems.length > 0) throw new Error(`The settings are not usable:\n  ${problems.join("\n  ")}`);
  return Object.freeze(values) as Values<K>;
}

/** What every service needs to know. */
export const commonKnobs = {
  natsUrl: text(
    "NATS_URL",
    "where NATS listens, nats://host:port or tls://host:port; several of one cluster with commas between them",
  ),
  natsUser: text("NATS_USER", "the service's NATS user", ""),
  natsPassword: text("NATS_PASSWORD", "its password", ""),
  databaseUrl: text(
    "DATABASE_URL",
    "the PostgreSQL database, postgres://user:password@host:port/name, with ?sslmode=verify-full where it speaks TLS",
  ),
  logLevel: oneOf("LOG_LEVEL", "how much is logged", ["fatal", "error", "warn", "info", "debug", "trace"], "info"),
  metricsPort: integer(
    "METRICS_PORT",
    "where /healthz, /readyz and /metrics answer; 0 takes any free port",
    0,
    0,
    65_535,
  ),
  metricsHost: text("METRICS_HOST", "the address they listen on", "127.0.0.1"),
  retentionDays: integer(
    "READINGS_RETENTION_DAYS",
    "readings older than this are refused and dropped; 0 keeps them for ever",
    0,
    0,
    36_500,
  ),
  stallSeconds: integer(
    "STALL_SECONDS",
    "a partition of which nothing was read or kept for so long, though something waits, makes the service unready",
    60,
    1,
    3_600,
  ),
  partitions: integer("PARTITIONS", "into how many partitions a new READINGS stream is divided", 16, 1, 1024),
} as const;

/** And the services that use models. */
export const modelKnobs = {
  ...commonKnobs,
  modelCacheMegabytes: integer(
    "MODEL_CACHE_MB",
    "megabytes of models that a replica holds; those used longest ago are read again when they are needed",
    256,
    8,
    65_536,
  ),
} as const;
