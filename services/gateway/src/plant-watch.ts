/** The plant as a whole, for the metrics: what it would be wrong to add up over the services' replicas. */
import type { Bus } from "@calibration/shared/bus.ts";
import type { Log } from "@calibration/shared/log.ts";
import type { createPlantMetrics } from "@calibration/shared/metrics.ts";
import { regularly } from "@calibration/shared/regularly.ts";
import type { SensorStatus } from "@calibration/shared/sensor.ts";
import { streams } from "@calibration/shared/topology.ts";
import type pg from "pg";
import { statuses } from "./sensors.ts";

const LOOK_MS = 15_000;

export function watchPlant(parts: {
  pool: Pick<pg.Pool, "query">;
  bus: Pick<Bus, "manager">;
  log: Log;
  metrics: ReturnType<typeof createPlantMetrics>;
}): AsyncDisposable {
  const { pool, bus, metrics } = parts;

  async function look(): Promise<void> {
    for (const { name } of Object.values(streams)) {
      const { state, config } = await bus.manager.streams.info(name);
      metrics.streamBytes.set({ stream: name }, state.bytes);
      metrics.streamLimitBytes.set({ stream: name }, config.max_bytes);
    }
    const all: SensorStatus[] = [];
    for await (const { status } of statuses(pool)) all.push(status);
    metrics.sensors(all);
    const open = await pool.query<{ type: string; severity: string; alarm: string; count: number }>(
      `select coalesce(type, 'undecided') as type, severity, alarm::text, count(*)::int
         from anomalies where not resolved group by 1, 2, 3`,
    );
    metrics.openAnomalies(open.rows);
    const size = await pool.query<{ bytes: number }>("select pg_database_size(current_database()) as bytes");
    metrics.databaseBytes.set(size.rows[0]!.bytes);
  }

  return regularly(LOOK_MS, look, (error) => parts.log.warn({ error }, "the plant could not be looked at"));
}
