/** Asking the gateway, as any client does. */
import { setTimeout as pause } from "node:timers/promises";

/** A question that changes nothing is asked again while the gateway cannot answer it. */
const ATTEMPTS_MAX = 8;
const PAUSE_MS = 500;
const UNAVAILABLE = 503;

export class RestError extends Error {
  override readonly name = "RestError";
  readonly status: number;
  readonly body: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>) {
    super(`${status}: ${(body["detail"] as string | undefined) ?? "no detail"}`);
    this.status = status;
    this.body = body;
  }
}

export type Rest = <T>(method: string, path: string, body?: unknown) => Promise<T>;

export function createRest(gatewayUrl: string, token: string): Rest {
  return async <T>(method: string, path: string, body?: unknown) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask<T>(method, path, body);
      } catch (error) {
        const passing = error instanceof RestError ? error.status === UNAVAILABLE : true;
        if (method !== "GET" || !passing || attempt === ATTEMPTS_MAX) throw error;
        await pause(PAUSE_MS * attempt);
      }
    }
  };

  async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(gatewayUrl.replace(/\/+$/, "") + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = (text === "" ? {} : JSON.parse(text)) as T & Record<string, unknown>;
    if (!response.ok) throw new RestError(response.status, answer);
    return answer;
  }
}
