/** What is asked for in more than one place, under the names it is kept by. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import {
  ask,
  askAll,
  PAGE_MAX,
  query,
  type Anomaly,
  type Calibration,
  type Page,
  type Sensor,
  type Session,
} from "./api.ts";

export const keys = {
  session: ["session"] as const,
  sensors: ["sensors"] as const,
  sensor: (id: number) => ["sensor", id] as const,
  anomalies: ["anomalies"] as const,
  models: ["models"] as const,
  runs: ["runs"] as const,
  calibrations: ["calibrations"] as const,
  system: ["system"] as const,
  deadLetters: ["dead letters"] as const,
  tokens: ["tokens"] as const,
  audit: ["audit log"] as const,
};

/** Values change with every reading and nothing tells of them, so that they are asked for again; of many sensors less often. */
const LOOK_MS = 10_000;
const SENSORS_PER_LOOK = 1_000;

export const sessionQuery = queryOptions({
  queryKey: keys.session,
  queryFn: async ({ signal }): Promise<Session | null> =>
    ask<Session>("/api/session/", { signal }).catch((error: unknown) => {
      if ((error as { status?: number }).status === 401) return null;
      throw error;
    }),
  staleTime: Infinity,
});

export const sensorsQuery = queryOptions({
  queryKey: keys.sensors,
  queryFn: ({ signal }) => askAll<Sensor>("/api/sensors/", { order: "asc" }, signal),
  refetchInterval: ({ state }) => LOOK_MS * Math.max(1, (state.data?.length ?? 0) / SENSORS_PER_LOOK),
});

/** The sensors that are known so far, by id: lists name theirs with it, and show the id until they come. */
export function useSensorsById(): ReadonlyMap<number, Sensor> {
  return useQuery({ ...sensorsQuery, select: byId }).data ?? NO_SENSORS;
}
const NO_SENSORS: ReadonlyMap<number, Sensor> = new Map();
const byId = (sensors: readonly Sensor[]): ReadonlyMap<number, Sensor> =>
  new Map(sensors.map((sensor) => [sensor.id, sensor]));

export const sensorQuery = (id: number) =>
  queryOptions({
    queryKey: keys.sensor(id),
    queryFn: ({ signal }) => ask<Sensor>(`/api/sensors/${id}/`, { signal }),
    refetchInterval: LOOK_MS,
  });

/** What was recorded of one sensor, newest first. */
export const calibrationsQuery = (sensorId: number) =>
  queryOptions({
    queryKey: [...keys.calibrations, { sensor_id: sensorId }],
    queryFn: ({ signal }) =>
      ask<Page<Calibration>>(`/api/calibrations/${query({ sensor_id: sensorId, limit: PAGE_MAX })}`, { signal }),
  });

export interface AnomalyFilter {
  sensor_id?: number | undefined;
  alarm?: boolean | undefined;
  resolved?: boolean | undefined;
  severity?: string | undefined;
  type?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  limit?: number | undefined;
}

export const anomaliesQuery = (filter: AnomalyFilter) =>
  queryOptions({
    queryKey: [...keys.anomalies, filter] as const,
    queryFn: ({ signal }) => ask<Page<Anomaly>>(`/api/anomalies/${query({ limit: PAGE_MAX, ...filter })}`, { signal }),
  });

/** The alarms that nobody has resolved: what the badges count. */
export const openAlarmsQuery = anomaliesQuery({ alarm: true, resolved: false });
