/** What a browser is shown: the dashboard, which names its own views by path, and the page that shows the API. */
import serveFiles from "@fastify/static";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const OWN = fileURLToPath(new URL("../pages", import.meta.url));
const DASHBOARD = fileURLToPath(new URL("../../../packages/dashboard/dist", import.meta.url));
/** Files under `assets/` are named by their content and never change. */
const ASSETS_CACHED = "public, max-age=31536000, immutable";

export async function pages(app: FastifyInstance): Promise<void> {
  await app.register(serveFiles, { root: OWN, prefix: "/api/docs/", index: false });
  app.get("/api/docs", { schema: { hide: true } }, (_, reply) => reply.sendFile("docs.html"));
  if (!existsSync(join(DASHBOARD, "index.html"))) {
    app.get("/", { schema: { hide: true } }, (_, reply) => reply.sendFile("not-built.html"));
    return;
  }
  const files = { decorateReply: false, preCompressed: true, cacheControl: false };
  await app.register(serveFiles, {
    ...files,
    root: join(DASHBOARD, "assets"),
    prefix: "/assets/",
    setHeaders: (reply) => void reply.header("cache-control", ASSETS_CACHED),
  });
  await app.register(serveFiles, {
    ...files,
    root: DASHBOARD,
    wildcard: false,
    globIgnore: ["assets/**"],
    setHeaders: (reply) => void reply.header("cache-control", "no-cache"),
  });
}

/** Whether a request for nothing that is served is one of the dashboard's own views, as somebody who reloads asks for it. */
export function isView({ method, url, headers }: FastifyRequest): boolean {
  const path = url.split("?")[0]!;
  const isFile = path.startsWith("/api/") || path.startsWith("/assets/");
  return method === "GET" && !isFile && headers.accept?.includes("text/html") === true;
}

export const showView = (reply: FastifyReply): unknown =>
  existsSync(join(DASHBOARD, "index.html"))
    ? reply.header("cache-control", "no-cache").sendFile("index.html", DASHBOARD)
    : reply.sendFile("not-built.html", OWN);
