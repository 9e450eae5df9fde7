/** The newest instant of each sensor of a partition, in milliseconds: looked up where it is not known yet, and then kept here. */

/** Of so many sensors it is remembered. */
const SENSORS_MAX = 20_000;

export interface Newest {
  /** What is known of these sensors, -Infinity where there is nothing; to be moved on by whoever asked. */
  of(sensorIds: Iterable<number>): Promise<Map<number, number>>;
}

export function createNewest(find: (sensorIds: number[]) => Promise<ReadonlyMap<number, number>>): Newest {
  const newestMs = new Map<number, number>();
  return {
    async of(sensorIds) {
      const asked = [...new Set(sensorIds)];
      const missing = asked.filter((sensorId) => !newestMs.has(sensorId)).length;
      if (missing > 0 && newestMs.size + missing > SENSORS_MAX) newestMs.clear();
      const wanted = asked.filter((sensorId) => !newestMs.has(sensorId));
      if (wanted.length > 0) {
        const found = await find(wanted);
        for (const sensorId of wanted) newestMs.set(sensorId, found.get(sensorId) ?? -Infinity);
      }
      return newestMs;
    },
  };
}
