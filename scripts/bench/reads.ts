/** A chart of 400 days, by REST and by hand. */
import { createTimePartitions } from "@calibration/shared/time-partitions.ts";
import { median } from "@calibration/models/statistics.ts";
import { randomBytes } from "node:crypto";
import { ratioOf, type Figure } from "./figure.ts";
import type { Servers } from "./site.ts";

const DAYS = 400;
const READS = 30;
const DAY_MS = 86_400_000;
const AUTO_S = 21_600;

/** What a person would write who knows where the rollups are. */
const BY_HAND = `
  select date_bin('${AUTO_S} s', bucket, 'epoch') as timestamp, min(min), max(max), (sum(sum) / sum(count))::float8 as mean, sum(count)::int
    from readings_per_hour where sensor_id = 1 and bucket >= $1 and bucket < $2 group by 1 order by 1`;

export async function readFigures(servers: Servers, quick: boolean, rounds: number): Promise<Figure[]> {
  await using site = await servers.openSite(10);
  const { pool } = site.database;
  const to = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS);
  const from = new Date(to.getTime() - DAYS * DAY_MS);
  await createTimePartitions(pool, "readings").ensure(
    Array.from({ length: DAYS }, (_, day) => from.getTime() + day * DAY_MS),
  );
  // Others stand beside it: an answer that had to pass them by would show it.
  await pool.query(
    `insert into readings select s, t, 20 + sin(extract(epoch from t) / 86400), 0, 1, t
       from generate_series(1, $3::int) s, generate_series($1::timestamptz, $2::timestamptz - interval '1 minute', '1 minute') t`,
    [from, to, quick ? 1 : 5],
  );
  for (const [table, unit] of [
    ["readings_per_minute", "minute"],
    ["readings_per_hour", "hour"],
  ])
    await pool.query(
      `insert into ${table} select sensor_id, date_trunc('${unit}', timestamp, 'UTC'), min(raw_value), max(raw_value), sum(raw_value::numeric), count(*)
         from readings group by 1, 2`,
    );
  await pool.query("analyze");
  const token = randomBytes(16).toString("hex");
  const port = site.metricsPort;
  await site.start("gateway", { env: { PORT: String(port), BOOTSTRAP_TOKENS: JSON.stringify({ viewer: token }) } });
  const address = `http://127.0.0.1:${port}/api/readings/?sensor_id=1&resolution=auto&from=${from.toISOString()}&to=${to.toISOString()}`;
  const byRest = async () => {
    const answer = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
    const body = (await answer.json()) as { resolution: number; results: unknown[] };
    if (!answer.ok || body.resolution !== AUTO_S || body.results.length < DAYS)
      throw new Error(`the gateway answered ${answer.status} ${JSON.stringify(body).slice(0, 200)}`);
  };
  const byHand = async () => void (await pool.query(BY_HAND, [from, to]));
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const times: [number[], number[]] = [[], []];
    for (let read = 0; read < READS; read++) {
      for (const [i, go] of [byRest, byHand].entries()) {
        const begun = performance.now();
        await go();
        times[i]!.push(performance.now() - begun);
      }
    }
    ours.push(median(times[0]));
    theirs.push(median(times[1]));
  }
  return [
    {
      name: `GET /api/readings/?resolution=auto, ${DAYS} days at a reading a minute`,
      reference: "the same SQL by hand",
      unit: "ms",
      bound: { kind: "at most", ratio: 3 },
      ours,
      theirs,
      ratio: ratioOf(ours, theirs),
      note: "",
    },
  ];
}
