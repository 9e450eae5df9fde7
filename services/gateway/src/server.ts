/** The HTTP server: who may ask, what is refused and how, and the routes. */
import cookie from "@fastify/cookie";
import helmet from "@fastify/helmet";
import swagger from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import { isBusTrouble, type Bus } from "@calibration/shared/bus.ts";
import { isDatabaseTrouble } from "@calibration/shared/database.ts";
import type { Log } from "@calibration/shared/log.ts";
import { createHttpMetrics } from "@calibration/shared/metrics.ts";
import type { Overdue } from "@calibration/shared/overdue.ts";
import { TRACEPARENT_HEADER, traceparentOf } from "@calibration/shared/trace.ts";
import type { Replica } from "./roll.ts";
import { Ajv } from "ajv";
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifySchemaValidationError,
} from "fastify";
import type pg from "pg";
import type { Registry } from "prom-client";
import { describeAnswers, describedBody } from "./answers.ts";
import type { Access, Auth, Identity } from "./auth.ts";
import { guard, isWrite } from "./guard.ts";
import { isView, pages, showView } from "./pages.ts";
import { Problem, problemBody, type FieldError } from "./problem.ts";
import { analyticsRoutes } from "./routes/analytics.ts";
import { anomalyRoutes } from "./routes/anomalies.ts";
import { calibrationRoutes } from "./routes/calibrations.ts";
import { computeRoutes } from "./routes/compute.ts";
import { deadLetterRoutes } from "./routes/dead-letters.ts";
import { eventRoutes } from "./routes/events.ts";
import { readingRoutes } from "./routes/readings.ts";
import { sensorRoutes } from "./routes/sensors.ts";
import { sessionRoutes } from "./routes/session.ts";
import { systemRoutes } from "./routes/system.ts";
import { trainingRoutes } from "./routes/training.ts";

export interface Parts {
  pool: pg.Pool;
  bus: Bus;
  auth: Auth;
  log: Log;
  registry: Registry;
  partitions: number;
  /** Of the writes that are not answered yet. */
  writing: Pick<Overdue, "begin">;
  /** The replicas of every service that are there now. */
  replicas(): readonly Replica[];
  /** Readings older than this are refused; 0: none are. */
  retentionDays: number;
  /** For one token, and for one address without. */
  requestsPerMinute: number;
  /** Null: plain HTTP, for a loopback interface or behind a proxy. */
  tls: { cert: Buffer; key: Buffer } | null;
  /** What is wrong, by part; empty when ready. */
  troubles(): Promise<Readonly<Record<string, string>>>;
}

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Who asks; set before a route that is not open runs. */
    identity: Identity;
  }
}

export const typed = (app: FastifyInstance) => app.withTypeProvider<TypeBoxTypeProvider>();

const BODY_BYTES_MAX = 1024 * 1024;
/** Ten thousand readings of a hundred bytes, with room. */
export const READINGS_BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Until a request has come in whole. */
const REQUEST_MS_MAX = 30_000;
/** A body that is wrong in ten thousand places is told of the first of them. */
const ERRORS_TOLD_MAX = 100;
/** A body that is no UTF-8 is no JSON; it is not kept with its bytes replaced. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export async function createServer(parts: Parts): Promise<FastifyInstance> {
  const answer = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const problem = problemOf(error, request, parts.log);
    if (problem.code === "unavailable") reply.header("retry-after", "5");
    if (problem.code === "rate_limited") reply.header("retry-after", Number(problem.extra["retry_after_s"] ?? 60));
    return reply
      .status(problem.status)
      .type("application/problem+json")
      .send(JSON.stringify(problemBody(problem)));
  };
  const app: FastifyInstance = Fastify({
    // The types know one kind of server at a time; the routes do not care which it is.
    ...(parts.tls === null ? {} : { https: parts.tls as never }),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    routerOptions: { ignoreTrailingSlash: true },
    trustProxy: false,
    forceCloseConnections: true,
    // An address that is none, as /api/sensors/%zz/, reaches no route and no hook.
    frameworkErrors: (error, request, reply) => void answer(error, request, reply),
  });
  acceptBodies(app);
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) => {
    if (isView(request)) return showView(reply);
    throw new Problem("not_found", `nothing is served at ${request.method} ${request.url.split("?")[0]}`);
  });
  await app.register(cookie);
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        styleSrc: ["'self'"],
        scriptSrc: ["'self'"],
        imgSrc: ["'self'", "data:"],
        upgradeInsecureRequests: null,
      },
    },
    // Whoever came by TLS once comes by it again; said over plain HTTP it would mean nothing.
    strictTransportSecurity: parts.tls !== null,
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Calibration Platform", version: "1.0.0", license: { name: "Apache-2.0" } },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => ({
      schema: schema === undefined ? schema : { ...schema, body: describedBody(route.method, url, schema.body) },
      url,
    }),
  });
  describeAnswers(app);
  measure(app, parts);
  await guard(app, parts);
  followWrites(app, parts);
  const routes = [
    sensorRoutes,
    readingRoutes,
    calibrationRoutes,
    anomalyRoutes,
    trainingRoutes,
    analyticsRoutes,
    computeRoutes,
    deadLetterRoutes,
    eventRoutes,
    sessionRoutes,
    systemRoutes,
  ];
  for (const add of routes) await app.register(async (scope) => add(scope, parts));
  healthRoutes(app, parts);
  await pages(app);
  return app;
}

/** JSON whatever the content type says, as curl sends it; a GET with a body is none. */
function acceptBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => {
    if (body.length === 0) return done(null, undefined);
    try {
      done(null, JSON.parse(utf8.decode(body as Buffer)));
    } catch (error) {
      done(new Problem("invalid_json", (error as Error).message), undefined);
    }
  });
  // JSON can say 1e400, which no column of ours and no answer can hold: a number is a finite one.
  const options = { allErrors: true, strict: false, strictNumbers: true } as const;
  // A body's numbers are numbers; a query has only text.
  const strict = new Ajv(options);
  const lenient = new Ajv({ ...options, coerceTypes: true, useDefaults: true });
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === "body" ? strict : lenient).compile(schema as object),
  );
  // Answers are made by our own code and need no second shape.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

function problemOf(error: FastifyError, request: FastifyRequest, log: Log): Problem {
  if (error instanceof Problem) return error;
  if (error.validation)
    return new Problem("invalid_input", "the request does not have the form it must have", {
      errors: error.validation.slice(0, ERRORS_TOLD_MAX).map(fieldError),
    });
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new Problem("too_large", `a body here has at most ${request.routeOptions.bodyLimit} bytes`);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
    return new Problem("invalid_input", error.message);
  if (isDatabaseTrouble(error)) {
    log.warn({ error, path: request.url }, "the database is away");
    return new Problem("unavailable", "the database is away; try again");
  }
  if (isBusTrouble(error)) {
    log.warn({ error, path: request.url }, "NATS is away");
    return new Problem("unavailable", "NATS is away; try again");
  }
  if (isDataTrouble(error)) {
    log.warn({ error, path: request.url }, "the database cannot hold what a request asked for");
    return new Problem("invalid_input", "a value in the request is out of range, or not text that can be kept");
  }
  log.error({ error, path: request.url }, "a request failed");
  return new Problem("internal", "an error that is ours; it has been logged");
}

/** PostgreSQL's class 22, data exceptions: a number, a time or a text that no column can hold. */
const isDataTrouble = ({ code }: { code?: unknown }): boolean => typeof code === "string" && /^22...$/.test(code);

function fieldError({ instancePath, message, params }: FastifySchemaValidationError): FieldError {
  const named = params["missingProperty"] ?? params["additionalProperty"];
  const allowed = Array.isArray(params["allowedValues"]) ? `: ${params["allowedValues"].join(", ")}` : "";
  return {
    path: named === undefined ? instancePath || "/" : `${instancePath}/${named as string}`,
    message: `${message ?? "is wrong"}${allowed}`,
  };
}

function measure(app: FastifyInstance, { registry, log }: Parts): void {
  const metrics = createHttpMetrics(registry);
  app.addHook("onResponse", async (request, reply) => {
    const { method } = request;
    const route = request.routeOptions.url ?? "unknown";
    const status = reply.statusCode;
    metrics.requests.inc({ method, route, status });
    // An event stream's end is no answer.
    if (!reply.raw.getHeader("content-type")?.toString().startsWith("text/event-stream"))
      metrics.duration.observe({ method, route }, reply.elapsedTime / 1000);
    const traceparent = traceparentOf(request.headers[TRACEPARENT_HEADER]) ?? undefined;
    log.debug({ method, route, status, ms: Math.round(reply.elapsedTime), traceparent }, "answered");
  });
}

/** Training that is asked for is waited for by design. */
const WAITS: ReadonlySet<string | undefined> = new Set(["/api/model-training"]);

/** From the moment a write has come in whole until its answer, audited, is ready to be sent. */
function followWrites(app: FastifyInstance, { writing }: Parts): void {
  const underWay = new WeakMap<FastifyRequest, () => void>();
  app.addHook("preHandler", async (request) => {
    if (isWrite(request) && !WAITS.has(request.routeOptions.url)) underWay.set(request, writing.begin());
  });
  app.addHook("onSend", async (request, _reply, payload) => {
    underWay.get(request)?.();
    return payload;
  });
}

function healthRoutes(app: FastifyInstance, { troubles }: Parts): void {
  app.get("/healthz", () => ({ status: "alive" }));
  app.get("/readyz", async (_, reply) => {
    const wrong = await troubles();
    const ready = Object.keys(wrong).length === 0;
    return reply.status(ready ? 200 : 503).send({ status: ready ? "ready" : "unready", troubles: wrong });
  });
  app.get("/api/openapi.json", { schema: { hide: true } }, () => app.swagger());
}
