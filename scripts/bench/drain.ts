/**
 * The reference of the throughput figures, a process of its own: drains the same stream into the same table with nothing
 * else. No admission, no rollups, no dead letters; the position stands in the same transaction.
 */
import { batches } from "@calibration/shared/batches.ts";
import { openBus } from "@calibration/shared/bus.ts";
import { openDatabase } from "@calibration/shared/database.ts";
import { partitionSubjects } from "@calibration/shared/topology.ts";

const LIMITS = { messages: 1000, bytes: 600_000 };
const POOL_SIZE = 6;

const env = process.env as Record<"NATS_URL" | "NATS_USER" | "NATS_PASSWORD" | "DATABASE_URL" | "PARTITIONS", string>;
await using database = await openDatabase(env.DATABASE_URL, { poolSize: POOL_SIZE, name: "reference" });
await using bus = await openBus({
  natsUrl: env.NATS_URL,
  natsUser: env.NATS_USER,
  natsPassword: env.NATS_PASSWORD,
  name: "reference",
});
console.log("ready");
await Promise.all(Array.from({ length: Number(env.PARTITIONS) }, (_, partition) => drain(partition)));

async function drain(partition: number): Promise<void> {
  const consumer = await bus.jetstream.consumers.get("READINGS", { filter_subjects: partitionSubjects(partition) });
  const messages = await consumer.consume({ max_messages: LIMITS.messages });
  for await (const batch of batches(messages, LIMITS)) {
    const [sensors, times, values, sequences, received]: number[][] = [[], [], [], [], []];
    for (const message of batch) {
      const body = JSON.parse(message.string()) as { value: number; timestamp: string } | [];
      const sensorId = Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
      const receivedMs = message.info.timestampNanos / 1e6;
      for (const { value, timestamp } of Array.isArray(body)
        ? (body as { value: number; timestamp: string }[])
        : [body]) {
        sensors!.push(sensorId);
        times!.push(Date.parse(timestamp));
        values!.push(value);
        sequences!.push(message.seq);
        received!.push(receivedMs);
      }
    }
    const client = await database.pool.connect();
    await client.query("begin");
    await client.query({
      name: "drain",
      text: `insert into readings (sensor_id, timestamp, raw_value, quality, stream_sequence, received_at)
        select s, to_timestamp(t / 1000.0), v, 0, n, to_timestamp(r / 1000.0)
          from unnest($1::int[], $2::float8[], $3::float8[], $4::int8[], $5::float8[]) as u(s, t, v, n, r)
        on conflict do nothing`,
      values: [sensors, times, values, sequences, received],
    });
    await client.query(
      `insert into stream_positions (service, partition, stream_created, kept, told, snapshot, attempts, counters, untold)
       values ('reference', $1, '', $2, 0, 0, 0, '{}', '[]') on conflict (service, partition) do update set kept = excluded.kept`,
      [partition, batch.at(-1)!.seq],
    );
    await client.query("commit");
    client.release();
  }
}
