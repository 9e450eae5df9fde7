/** Asking the gateway, as any client does. */

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
    const response = await fetch(gatewayUrl + path, {
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
  };
}
