/**
 *   a client ──REST──▶ gateway ──╳──▶ NATS      503 and when to try again; the same again is safe
 *                     └──training.…──▶ TRAINING, and no trainer: 202 and a job to ask after
 *   a dashboard ◀──SSE── gateway ◀── EVENTS     resumes where it was, or is told that it must begin anew
 */
import { expect, it } from "vitest";
import { openPlant, WAIT_MS } from "../support/plant.ts";
import { openProxy } from "../support/proxy.ts";
import { openGateway, type Answer } from "../support/rest.ts";

const MINUTE_MS = 60_000;

// Both wait for most of a minute, for what must not come too soon.
it.concurrent("what was not acknowledged is answered 503, and posted again it is kept once", async ({ expect }) => {
  await using plant = await openPlant({ partitions: 2, services: ["ingest", "trainer"] });
  const { hostname, port } = new URL(plant.nats.url);
  await using proxy = await openProxy({ host: hostname, port: Number(port) });
  const { ask } = await openGateway(plant, { NATS_URL: `nats://127.0.0.1:${proxy.port}` });
  const start = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 60 * MINUTE_MS;
  const readings = Array.from({ length: 50 }, (_, n) => ({
    sensor_id: 1,
    raw_value: n,
    timestamp: new Date(start + n * MINUTE_MS).toISOString(),
  }));
  await ask("POST", "/api/sensors/", { id: 1, name: "One", type: "Flow" });
  const isAway = ({ status, body, headers }: Answer): void => {
    expect({ status, code: body.code }).toEqual({ status: 503, code: "unavailable" });
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  };

  // The last thing that goes through is the readings themselves: they are stored, and the word of it does not come back.
  const swallowed = new Promise<void>((resolve) =>
    proxy.setTrap({
      direction: "down",
      bytes: '"stream":"READINGS"',
      passes: false,
      strike: () => {
        proxy.cut();
        resolve();
      },
    }),
  );
  const posted = ask("POST", "/api/readings/", readings, "plant");
  await swallowed;
  isAway(await posted);
  const others = [
    ask("POST", "/api/readings/", readings[0], "plant"),
    ask("POST", "/api/model-training/", { sensor_id: 1 }, "operator"),
    ask("PATCH", "/api/sensors/1/", { name: "Uno" }),
  ];
  for (const answer of await Promise.all(others)) isAway(answer);
  expect(await ask("GET", "/readyz", undefined, null)).toMatchObject({ status: 503, body: { status: "unready" } });
  // What needs no NATS is answered all the while.
  expect(await ask("GET", "/api/sensors/1/")).toMatchObject({ status: 200 });
  expect(await ask("GET", "/healthz", undefined, null)).toMatchObject({ status: 200 });

  proxy.mend();
  await expect
    .poll(async () => (await ask("POST", "/api/readings/", readings, "plant")).status, { timeout: WAIT_MS })
    .toBe(202);
  // However often it went through without a word: each is there once, and the rest are repeats.
  const counts = `
    select sum((counters->>'kept')::int)::int as kept, sum((counters->>'repeated')::int) >= 50 as repeated,
           sum((counters->>'received')::int - (counters->>'kept')::int - (counters->>'repeated')::int)::int as others
      from stream_positions where service = 'ingest'`;
  await expect.poll(() => plant.rows(counts), { timeout: WAIT_MS }).toEqual([{ kept: 50, repeated: true, others: 0 }]);
  await expect
    .poll(async () => (await ask("POST", "/api/model-training/", { sensor_id: 1, model_type: "anomaly" })).status, {
      timeout: WAIT_MS,
    })
    .toBe(200);
});

it.concurrent("training that takes longer than somebody waits goes on as a job", async ({ expect }) => {
  await using plant = await openPlant({ partitions: 2, services: ["ingest"] });
  const { ask } = await openGateway(plant);
  await ask("POST", "/api/sensors/", { id: 1, name: "One", type: "Flow" });
  const asked = await ask("POST", "/api/model-training/", { sensor_id: 1, model_type: "all" });
  expect(asked).toMatchObject({ status: 202, body: { job_id: expect.any(String) as string } });
  const job = async () => (await ask("GET", `/api/model-training/jobs/${asked.body.job_id}/`)).body;
  expect(await job()).toMatchObject({ status: "running", done: 0, total: 3, results: [] });
  await plant.start("trainer");
  await expect.poll(job, { timeout: WAIT_MS }).toMatchObject({
    status: "finished",
    done: 3,
    total: 3,
    results: [
      {
        sensor_id: 1,
        results: {
          anomaly: { status: "insufficient_data", required: 10, available: 0 },
          drift: { status: "insufficient_data", required: 20, available: 0 },
          calibration: { status: "insufficient_data", required: 5, available: 0 },
        },
      },
    ],
  });
});

it("a listener resumes where it was; one that was away for too long is told to begin anew", async () => {
  await using plant = await openPlant({ partitions: 2 });
  const { ask, url, tokens } = await openGateway(plant);
  for (const id of [1, 2, 3]) await ask("POST", "/api/sensors/", { id, name: `Sensor ${id}`, type: "Flow" });
  const { state } = await plant.bus.manager.streams.info("EVENTS");
  const listen = async (lastEventId: number | string | null, until: string): Promise<string> => {
    const stop = new AbortController();
    const response = await fetch(`${url}/api/events/`, {
      headers: {
        authorization: `Bearer ${tokens["viewer"]!}`,
        ...(lastEventId === null ? {} : { "last-event-id": String(lastEventId) }),
      },
      signal: stop.signal,
    });
    let heard = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) {
      heard += decoder.decode(chunk as Uint8Array, { stream: true });
      if (heard.includes(until)) break;
    }
    stop.abort();
    return heard;
  };
  const idsOf = (heard: string): number[] => [...heard.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));

  const missed = await listen(state.first_seq, '"id":3');
  expect(missed).not.toContain("event: reset");
  expect(idsOf(missed)).toEqual([state.first_seq + 1, state.first_seq + 2]);
  expect(missed).toMatch(/event: sensor\nid: \d+\ndata: .*"event":"created"/);

  // What it missed is no longer there, or the stream is another than the one it knew.
  await plant.bus.manager.streams.purge("EVENTS", { seq: state.last_seq });
  expect(await listen(state.first_seq, "\n\n")).toBe("event: reset\ndata: {}\n\n");
  expect(await listen(state.last_seq + 1_000, "\n\n")).toBe("event: reset\ndata: {}\n\n");
  expect(await listen("an id of somebody else's", "\n\n")).toBe("event: reset\ndata: {}\n\n");
  // Whoever heard the last of it has missed nothing, and whoever comes for the first time neither.
  expect(await listen(state.last_seq, "\n\n")).toBe(": listening\n\n");
  expect(await listen(null, "\n\n")).toBe(": listening\n\n");
});
