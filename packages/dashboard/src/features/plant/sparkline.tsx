/** The last 24 hours of a sensor as a small line. Many rows in sight are one request. */
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../api.ts";
import { formatValue } from "../../format.ts";

type Point = readonly [ms: number, mean: number];

const WIDTH = 128;
const HEIGHT = 30;
const EDGE = 3;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Hourly means change once an hour; the open hour's a little all the time. */
const FRESH_MS = 5 * 60_000;
/** A sensor without a line may just have begun to publish. */
const EMPTY_FRESH_MS = 5_000;
const GATHER_MS = 30;
const IDS_MAX = 200;
/** Beyond this the line is broken: there were no readings. */
const GAP_MS = 1.5 * HOUR_MS;

let waiting: { id: number; resolve: (points: Point[]) => void; reject: (error: unknown) => void }[] = [];

function load(id: number): Promise<Point[]> {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setTimeout(() => void send(), GATHER_MS);
    waiting.push({ id, resolve, reject });
  });
}

async function send(): Promise<void> {
  const asked = waiting;
  waiting = [];
  for (let n = 0; n < asked.length; n += IDS_MAX) {
    const part = asked.slice(n, n + IDS_MAX);
    try {
      const { results } = await ask<{ results: { sensor_id: number; points: Point[] }[] }>(
        `/api/sparklines/?sensor_ids=${part.map(({ id }) => id).join(",")}`,
      );
      const found = new Map(results.map((one) => [one.sensor_id, one.points]));
      for (const { id, resolve } of part) resolve(found.get(id) ?? []);
    } catch (error) {
      for (const { reject } of part) reject(error);
    }
  }
}

export function Sparkline({ sensorId, unit }: { sensorId: number; unit: string }) {
  const { data } = useQuery({
    queryKey: ["sparkline", sensorId],
    queryFn: () => load(sensorId),
    staleTime: FRESH_MS,
    refetchInterval: ({ state }) => (state.data === undefined || state.data.length === 0 ? EMPTY_FRESH_MS : FRESH_MS),
  });
  if (data === undefined) return <span className="sparkline" />;
  if (data.length === 0) return <span className="sparkline quiet">no readings</span>;
  const values = data.map(([, mean]) => mean);
  const low = Math.min(...values);
  const high = Math.max(...values);
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`last 24 hours: ${formatValue(low)} to ${formatValue(high)} ${unit}`}
    >
      <path d={pathOf(data, low, high, Date.now())} />
    </svg>
  );
}

/** The line, on an axis that ends now: what is missing at its end is missing. */
export function pathOf(points: readonly Point[], low: number, high: number, nowMs: number): string {
  const x = (ms: number) => Math.max(0, ((ms - (nowMs - DAY_MS)) / DAY_MS) * WIDTH);
  const y = (value: number) =>
    high === low ? HEIGHT / 2 : HEIGHT - EDGE - ((value - low) / (high - low)) * (HEIGHT - 2 * EDGE);
  return points
    .map(([ms, value], index) => {
      const isBroken = (a: Point | undefined, b: Point | undefined) =>
        a === undefined || b === undefined || b[0] - a[0] > GAP_MS;
      const begins = isBroken(points[index - 1], points[index]);
      // An hour without neighbours is a dot: a line of no length, with round ends.
      const isAlone = begins && isBroken(points[index], points[index + 1]);
      return `${begins ? "M" : "L"}${x(ms).toFixed(1)} ${y(value).toFixed(1)}${isAlone ? "h0.1" : ""}`;
    })
    .join("");
}
