/** Least, most, sum and count of readings, by sensor and bucket of time. */
import { doubles, instants, ints } from "./columns.ts";
import { addSum, addValue, createExactSum, textOf, type ExactSum } from "./exact-sum.ts";

export interface Bucket {
  sensorId: number;
  fromMs: number;
  min: number;
  max: number;
  sum: ExactSum;
  count: number;
}

export interface Rollup {
  add(sensorId: number, timestampMs: number, value: number): void;
  /** Takes in a bucket of a finer rollup. */
  merge(finer: Bucket): void;
  buckets(): readonly Bucket[];
}

/** @param widthMs buckets begin at its whole multiples, counted from 1970 */
export function createRollup(widthMs: number): Rollup {
  const all: Bucket[] = [];
  const bySensor = new Map<number, Map<number, Bucket>>();
  /** The one used last: readings mostly come in order. */
  let last: Bucket | null = null;

  return {
    add(sensorId, timestampMs, value) {
      const bucket = bucketAt(sensorId, timestampMs, value);
      bucket.min = bucket.min < value ? bucket.min : value;
      bucket.max = bucket.max > value ? bucket.max : value;
      bucket.count++;
      addValue(bucket.sum, value);
    },
    merge({ sensorId, fromMs, min, max, sum, count }) {
      const bucket = bucketAt(sensorId, fromMs, min);
      bucket.min = bucket.min < min ? bucket.min : min;
      bucket.max = bucket.max > max ? bucket.max : max;
      bucket.count += count;
      addSum(bucket.sum, sum);
    },
    buckets: () => all,
  };

  function bucketAt(sensorId: number, timestampMs: number, value: number): Bucket {
    const fromMs = timestampMs - (timestampMs % widthMs);
    if (last !== null && last.sensorId === sensorId && last.fromMs === fromMs) return last;
    let ofSensor = bySensor.get(sensorId);
    if (ofSensor === undefined) bySensor.set(sensorId, (ofSensor = new Map()));
    let bucket = ofSensor.get(fromMs);
    if (bucket === undefined) {
      bucket = { sensorId, fromMs, min: value, max: value, sum: createExactSum(), count: 0 };
      ofSensor.set(fromMs, bucket);
      all.push(bucket);
    }
    last = bucket;
    return bucket;
  }
}

/** For `unnest($n::int[], $n::timestamptz[], $n::float8[], $n::float8[], $n::numeric[], $n::int[])`. */
export const rollupColumns = (buckets: readonly Bucket[]): (Buffer | string)[] => [
  ints(buckets.map(({ sensorId }) => sensorId)),
  instants(buckets.map(({ fromMs }) => fromMs)),
  doubles(buckets.map(({ min }) => min)),
  doubles(buckets.map(({ max }) => max)),
  `{${buckets.map(({ sum }) => textOf(sum)).join(",")}}`,
  ints(buckets.map(({ count }) => count)),
];

/** Adds such columns, or what `from` selects, to a table of rollups. */
export const keepRollupSql = (table: string, from: string): string => `
    insert into ${table} as p (sensor_id, bucket, min, max, sum, count)
    ${from} order by 1, 2
    on conflict (sensor_id, bucket) do update set min = least(p.min, excluded.min), max = greatest(p.max, excluded.max),
      sum = p.sum + excluded.sum, count = p.count + excluded.count`;
