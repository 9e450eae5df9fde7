/** What each route answers, for OpenAPI; the routes that build their answer by a schema name it themselves. */
import type { FastifyInstance, RouteOptions } from "fastify";
import { Type, type TSchema } from "typebox";
import {
  Alive,
  Analytics,
  AuditLine,
  Correction,
  DeadLetters,
  Detection,
  listOf,
  Model,
  ProblemDetails,
  Readiness,
  ReadingsOrBuckets,
  ReadingsTaken,
  ReadingsToPost,
  Replayed,
  SessionBegun,
  SignInCode,
  Token,
  TokenMade,
  Training,
  TrainingJob,
  TrainingJobId,
} from "./schemas.ts";

const nothing = Type.Null({ description: "done" });
const of = (description: string, mediaType: string, schema: TSchema) => ({
  description,
  content: { [mediaType]: { schema } },
});

const ANSWERS: Readonly<Record<string, Record<string, unknown>>> = {
  "GET /healthz": { 200: Alive },
  "GET /readyz": { 200: Readiness, 503: Readiness },
  "GET /api/readings": { 200: ReadingsOrBuckets },
  "POST /api/readings": { 202: ReadingsTaken },
  "DELETE /api/sensors/:id": { 204: nothing },
  "POST /api/sensors/:id/correct": { 200: Correction },
  "POST /api/enhanced-anomaly-detection": { 200: Detection },
  "POST /api/model-training": { 200: Training, 202: TrainingJobId },
  "GET /api/model-training/jobs/:job": { 200: TrainingJob },
  "GET /api/model-training/:id": { 200: Model },
  "GET /api/model-training/:id/artifact": {
    200: of("the artifact's bytes", "application/octet-stream", Type.String({ format: "binary" })),
  },
  "POST /api/model-training/:id/promote": { 200: Model },
  "POST /api/model-training/:id/rollback": { 200: Model },
  "GET /api/ml-analytics": { 200: Analytics },
  "GET /api/dead-letters": { 200: DeadLetters },
  "POST /api/dead-letters/replay": { 200: Replayed },
  "GET /api/events": {
    200: of("events, as long as the client listens", "text/event-stream", Type.String()),
  },
  "POST /api/session": { 200: SessionBegun },
  "DELETE /api/session": { 204: nothing },
  "POST /api/session/codes": { 201: SignInCode },
  "GET /api/tokens": { 200: listOf(Token) },
  "POST /api/tokens": { 201: TokenMade },
  "DELETE /api/tokens/:id": { 204: nothing },
  "GET /api/audit-log": { 200: listOf(AuditLine) },
};

const problem = of("what was wrong, with its code", "application/problem+json", ProblemDetails);

/** Call before the routes are made. */
export function describeAnswers(app: FastifyInstance): void {
  app.addHook("onRoute", (route: RouteOptions) => {
    const described = ANSWERS[`${String(route.method)} ${route.url.replace(/(?<=.)\/$/, "")}`];
    if (described === undefined && route.schema?.response === undefined) return;
    const own = (route.schema?.response ?? {}) as Record<string, unknown>;
    route.schema = { ...route.schema, response: { ...described, ...own, default: problem } };
  });
}

/** What a good body is, where the route itself takes any and judges its parts one by one. */
export const describedBody = (method: string | string[], url: string, body: unknown): unknown =>
  method === "POST" && url === "/api/readings" ? ReadingsToPost : body;
