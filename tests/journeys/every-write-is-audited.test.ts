/**
 *   each write that the OpenAPI document lists, done, refused for its role, and wrong ──▶ a line of the audit log: who, what, when
 */
import { expect, it } from "vitest";
import { openPlant } from "../support/plant.ts";
import { openGateway } from "../support/rest.ts";

/** To sign in begins without a token, and to sign out ends what a cookie stands for: below, by themselves. */
const SESSION = "/api/session";
/** They store nothing. */
const COMPUTES = ["/api/enhanced-anomaly-detection", "/api/sensors/{id}/correct"];

interface Line {
  token_name: string;
  method: string;
  path: string;
  status: number;
  at: string;
}

it("every write of REST is a line of the audit log, whoever asked and whatever came of it", async () => {
  await using plant = await openPlant();
  const { ask, url, tokens } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 1, name: "Tank", type: "Pressure" });
  const { body: document } = await ask("GET", "/api/openapi.json");
  const writes = Object.entries(document.paths as Record<string, object>)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })))
    .filter(({ method, path }) => method !== "GET" && !COMPUTES.includes(path.replace(/\/$/, "")))
    .filter(({ path }) => path.replace(/\/$/, "") !== SESSION);
  expect(writes.length).toBeGreaterThan(12);

  const asked: string[] = [];
  for (const { method, path: template } of writes) {
    // A sensor that is not there: what is tried must leave what the next one needs.
    const path = template.replaceAll(/\{[^}]+\}/g, "999");
    for (const as of ["admin", "viewer"] as const) {
      const { status } = await ask(method, `${path}?async=true`, method === "DELETE" ? undefined : {}, as);
      expect([method, path, as, status < 500]).toEqual([method, path, as, true]);
      asked.push(`${as} of this installation: ${method} ${path} ${status}`);
    }
  }
  const signedIn = await fetch(url + SESSION, { method: "POST", body: JSON.stringify({ token: tokens["viewer"] }) });
  const [cookie = ""] = signedIn.headers.get("set-cookie")!.split(";");
  const signedOut = await fetch(url + SESSION, { method: "DELETE", headers: { cookie, origin: url } });
  expect([signedIn.status, signedOut.status]).toEqual([200, 204]);
  asked.push(`viewer of this installation: POST ${SESSION} 200`, `viewer of this installation: DELETE ${SESSION} 204`);

  const { body } = await ask("GET", "/api/audit-log/?limit=1000");
  const lines = body.results as Line[];
  const told = lines.map(({ token_name: name, method, path, status }) => `${name}: ${method} ${path} ${status}`);
  expect(asked.filter((one) => !told.includes(one))).toEqual([]);
  for (const { at } of lines) expect(Math.abs(Date.now() - Date.parse(at))).toBeLessThan(3_600_000);
  // What only computes, or reads, is none.
  await ask("POST", "/api/sensors/1/correct/", { raw_value: 1 });
  expect((await ask("GET", "/api/audit-log/?limit=1")).body.count).toBe(body.count);
});
