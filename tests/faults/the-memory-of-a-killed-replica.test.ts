/**
 *   READINGS ──▶ anomaly, first replica ──▶ a snapshot, then kill -9
 *            └─▶ anomaly, second replica ─▶ the snapshot, what came since read again without deciding, and on
 *            └─▶ anomaly, undisturbed ────▶ the whole log once more, from the beginning: the same alarms, to the byte
 */
import { createRandom } from "@calibration/models/random.ts";
import { SETTINGS_DEFAULTS } from "@calibration/shared/sensor.ts";
import { expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant } from "../support/plant.ts";
import { needsSpareTime } from "../support/time.ts";

const MINUTE_MS = 60_000;
/** A little more than what a snapshot is written after. */
const BEFORE = 52_000;
const AFTER = 6_000;
const MESSAGE_READINGS = 4_000;
const MORE = 700;
const LIVELY_EVERY = 700;

it(
  "a replica that is killed leaves the alarms of one that was never disturbed",
  { timeout: 3 * WAIT_MS },
  async (context) => {
    needsSpareTime(context);
    await using plant = await openPlant({ partitions: 1 });
    const sensor = await plant.aSensor({ id: 7, settings: { ...SETTINGS_DEFAULTS, false_alarms_per_month: 5 } });
    const readings = aLivelySignal(BEFORE + AFTER);
    const first = await plant.start("anomaly");
    await publishAll(plant, sensor, readings.slice(0, BEFORE));
    await expect
      .poll(async () => (await plant.rows("select 1 from novelty_snapshots")).length, { timeout: WAIT_MS })
      .toBe(1);
    // What the snapshot lacks, the next owner has to read again; where one was written with the last message, one more goes behind it.
    let published = BEFORE;
    for (let behind = 0; behind === 0;) {
      await publishAll(plant, sensor, readings.slice(published, published + MORE));
      published += MORE;
      await untilJudged(plant, published);
      const [row] = await plant.rows<{ behind: number }>(
        "select (p.kept - n.position)::int as behind from stream_positions p, novelty_snapshots n where p.service = 'anomaly'",
      );
      behind = row!.behind;
      expect(published).toBeLessThan(BEFORE + AFTER / 2);
    }
    await first.kill("SIGKILL");

    const second = await plant.start("anomaly");
    await publishAll(plant, sensor, readings.slice(published));
    await untilJudged(plant, BEFORE + AFTER);
    const disturbed = await judged(plant);
    await second.kill("SIGKILL");
    const [late] = await plant.rows<{ alarms: number }>(
      "select count(*)::int as alarms from anomalies where alarm and method = 'novelty' and timestamp > $1",
      [new Date(readings[published]!.timestamp)],
    );
    expect(late!.alarms).toBeGreaterThan(0);

    for (const table of ["anomalies", "anomaly_state", "novelty_snapshots", "sensor_status"])
      await plant.rows(`delete from ${table}`);
    await plant.rows("delete from stream_positions where service = 'anomaly'");
    await plant.start("anomaly");
    await untilJudged(plant, BEFORE + AFTER);
    expect(await judged(plant)).toEqual(disturbed);
  },
);

/** A daily rhythm, noise, and every now and then something that is worth an alarm. */
function aLivelySignal(count: number): { value: number; timestamp: number }[] {
  const random = createRandom(11);
  // A back-fill: only a live sensor can be missed, and what is missed depends on when.
  const start = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - (count + 60) * MINUTE_MS;
  return Array.from({ length: count }, (_, i) => {
    const strange = i % LIVELY_EVERY < 5 && i > LIVELY_EVERY ? 4 + 8 * random.float() : 0;
    const value = 20 + 3 * Math.sin((i / 1440) * 2 * Math.PI) + random.normal() + strange;
    return { value: Number(value.toFixed(3)), timestamp: start + i * MINUTE_MS };
  });
}

async function publishAll(
  plant: Plant,
  sensor: { site: string; key: string },
  readings: readonly { value: number; timestamp: number }[],
): Promise<void> {
  for (let from = 0; from < readings.length; from += MESSAGE_READINGS)
    await plant.publish(sensor, readings.slice(from, from + MESSAGE_READINGS));
}

async function untilJudged(plant: Plant, count: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const [row] = await plant.rows<{ n: number }>("select (body->>'readings')::int as n from anomaly_state");
        return row?.n;
      },
      { timeout: WAIT_MS },
    )
    .toBe(count);
}

/** Every anomaly with all it says but its serial number, and the state that was left, as text. */
async function judged(plant: Plant): Promise<unknown[]> {
  const anomalies = await plant.rows("select (to_jsonb(a) - 'id')::text as one from anomalies a order by timestamp");
  // When the last message arrived is the log's to say; all else is the sensor's.
  const states = await plant.rows("select body::text as one from anomaly_state");
  return [...anomalies, ...states];
}
