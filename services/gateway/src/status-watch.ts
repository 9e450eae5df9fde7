/** Says when a sensor's status changes. It is computed from time too, so somebody has to look. */
import { say, type Bus } from "@calibration/shared/bus.ts";
import type { Log } from "@calibration/shared/log.ts";
import { regularly } from "@calibration/shared/regularly.ts";
import type { SensorStatus } from "@calibration/shared/sensor.ts";
import { subjects } from "@calibration/shared/topology.ts";
import type pg from "pg";
import { SENSOR_QUERY, sensorBody, statuses, type SensorRow } from "./sensors.ts";

const LOOK_MS = 5_000;
/** Replicas that see the same change within this say it once. */
const SAME_MS = 60_000;
/** Of what changed, so much is read and said at a time. */
const SAID_AT_ONCE = 200;

export function openStatusWatch({
  pool,
  bus,
  log,
}: {
  pool: pg.Pool;
  bus: Pick<Bus, "jetstream">;
  log: Log;
}): AsyncDisposable {
  let known = new Map<number, SensorStatus>();
  let looked = false;
  const look = async (): Promise<void> => {
    const next = new Map<number, SensorStatus>();
    const changed: number[] = [];
    for await (const { id, status } of statuses(pool)) {
      // One that was made since the last look was offline then, whatever it is by now.
      const before = known.get(id) ?? (looked ? "offline" : status);
      if (before !== status) changed.push(id);
      next.set(id, before);
    }
    known = next;
    looked = true;
    for (let start = 0; start < changed.length; start += SAID_AT_ONCE)
      await sayChanged(changed.slice(start, start + SAID_AT_ONCE));
  };

  async function sayChanged(ids: readonly number[]): Promise<void> {
    const { rows } = await pool.query<SensorRow>(`${SENSOR_QUERY} where s.id = any($1::int[])`, [ids]);
    const changed = rows.map((row) => sensorBody(row)).filter(({ id, status }) => known.get(id) !== status);
    const turns = await findTurns(changed.map(({ id }) => id));
    await say(
      bus,
      changed.map((sensor) => ({
        subject: subjects.sensorEvent(sensor.site, sensor.key),
        id: `sensor-${sensor.id}-${sensor.status}-${Math.floor(Date.now() / SAME_MS)}-${turns.get(sensor.id) ?? 0}`,
        body: JSON.stringify({ event: "status_changed", ...sensor }),
      })),
    );
    for (const { id, status } of changed) known.set(id, status);
  }

  /**
   * How often alarms of a sensor began and ended. A status that comes again within {@link SAME_MS} is another one by it,
   * also for a replica that has not seen what was between.
   */
  async function findTurns(ids: readonly number[]): Promise<Map<number, number>> {
    const { rows } = await pool.query<{ sensor_id: number; turns: number }>(
      `select sensor_id, (count(*) + count(*) filter (where resolved))::int as turns
         from anomalies where alarm and sensor_id = any($1::int[]) group by 1`,
      [ids],
    );
    return new Map(rows.map(({ sensor_id: id, turns }) => [id, turns]));
  }

  return regularly(LOOK_MS, look, (error) => log.warn({ error }, "statuses could not be looked at"));
}
