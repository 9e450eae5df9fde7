/** Asking the gateway as a client does. */
import { randomBytes } from "node:crypto";
import type { Plant, RunningService } from "./plant.ts";

export interface Answer {
  status: number;
  // What came back is what the tests are about.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any;
  headers: Headers;
}

export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  as?: "admin" | "operator" | "viewer" | "plant" | null,
) => Promise<Answer>;

/** Starts a gateway in the plant, with a token for each role; asks as the administrator where nothing else is said. */
export async function openGateway(
  plant: Plant,
  env: Record<string, string> = {},
): Promise<{ url: string; tokens: Record<string, string>; ask: Ask; service: RunningService }> {
  const tokens = Object.fromEntries(
    ["admin", "operator", "viewer", "plant"].map((role) => [role, randomBytes(16).toString("hex")]),
  );
  const service = await plant.start("gateway", { PORT: "0", BOOTSTRAP_TOKENS: JSON.stringify(tokens), ...env });
  const url = /"listens":"([^"]+)"/.exec(service.output())![1]!;
  const ask: Ask = async (method, path, body, as = "admin") => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(as === null ? {} : { authorization: `Bearer ${tokens[as]!}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true;
    return {
      status: response.status,
      body: isJson && text !== "" ? JSON.parse(text) : text,
      headers: response.headers,
    };
  };
  return { url, tokens, ask, service };
}
