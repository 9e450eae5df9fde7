/** What is asked for in more than one place, under the names it is kept by. */
import type { Sought } from "@calibration/shared/attention.ts";
import { queryOptions, useQuery, type QueryClient } from "@tanstack/react-query";
import {
  ask,
  PAGE_MAX,
  pagesOf,
  query,
  type Anomaly,
  type Attention,
  type Calibration,
  type Page,
  type Sensor,
  type Session,
} from "./api.ts";

export const keys = {
  session: ["session"] as const,
  sensors: ["sensors"] as const,
  attention: ["attention"] as const,
  sensor: (id: number) => ["sensor", id] as const,
  anomalies: ["anomalies"] as const,
  models: ["models"] as const,
  runs: ["runs"] as const,
  calibrations: ["calibrations"] as const,
  system: ["system"] as const,
  deadLetters: ["dead letters"] as const,
  sites: ["sites"] as const,
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

/** What lists show of a sensor: of ten thousand the rest would be most of what is sent. */
export type ListedSensor = Pick<Sensor, (typeof LISTED)[number]> & { settings: Pick<Sensor["settings"], "tolerance"> };
const LISTED = [
  "id",
  "key",
  "site",
  "name",
  "type",
  "unit",
  "status",
  "value",
  "last_updated",
  "drift",
  "baseline",
  "range_min",
  "range_max",
  "open_alarms",
  "open_anomalies",
  "last_calibrated_at",
] as const;
const FIELDS = [...LISTED, "settings.tolerance"].join(",");

export interface SensorList {
  /** Those that have come so far. */
  all: readonly ListedSensor[];
  /** How many there are. */
  count: number;
  isWhole: boolean;
}

/** All sensors. Each page is there as soon as it has come, and what was there before it stays. */
export const sensorsQuery = queryOptions({
  queryKey: keys.sensors,
  queryFn: async ({ signal, client }): Promise<SensorList> => {
    const found = new Set<number>();
    for await (const page of pagesOf<ListedSensor>("/api/sensors/", { order: "asc", fields: FIELDS }, signal)) {
      for (const { id } of page.results) found.add(id);
      // What comes for somebody who has gone on is not kept: it may be older than what they asked for since.
      signal.throwIfAborted();
      client.setQueryData<SensorList>(keys.sensors, (before) => ({
        all: merged(before?.all ?? [], page.results),
        count: page.count,
        isWhole: before?.isWhole ?? false,
      }));
    }
    const all = (client.getQueryData<SensorList>(keys.sensors)?.all ?? []).filter(({ id }) => found.has(id));
    return { all, count: all.length, isWhole: true };
  },
  // Ten thousand sensors are not compared one by one to find out that they have changed.
  structuralSharing: false,
  refetchInterval: ({ state }) => LOOK_MS * Math.max(1, (state.data?.count ?? 0) / SENSORS_PER_LOOK),
});

/** Those that are known keep their place, those that are new come after them. */
function merged(known: readonly ListedSensor[], come: readonly ListedSensor[]): ListedSensor[] {
  const byKnownId = new Map(known.map((sensor) => [sensor.id, sensor]));
  for (const sensor of come) byKnownId.set(sensor.id, sensor);
  return [...byKnownId.values()];
}

/** Puts what was told of some sensors in the place of what was known of them. */
export function putSensors(client: QueryClient, told: ReadonlyMap<number, ListedSensor>): void {
  client.setQueryData<SensorList>(
    keys.sensors,
    (list) => list && { ...list, all: list.all.map((one) => told.get(one.id) ?? one) },
  );
}

const FIRST_ROWS = 100;
/** Those that need somebody most, of what is looked for: what a large plant's first rows are until all of it has come. */
export const attentionQuery = (sought: Sought) =>
  queryOptions({
    queryKey: [...keys.attention, sought],
    queryFn: ({ signal }) => ask<Attention>(`/api/attention/${query({ ...sought, limit: FIRST_ROWS })}`, { signal }),
    staleTime: LOOK_MS,
  });

/** The sensors that are known so far, by id: lists name theirs with it, and show the id until they come. */
export function useSensorsById(): ReadonlyMap<number, ListedSensor> {
  return useQuery({ ...sensorsQuery, select: byId }).data ?? NO_SENSORS;
}
const NO_SENSORS: ReadonlyMap<number, ListedSensor> = new Map();
const byId = ({ all }: SensorList): ReadonlyMap<number, ListedSensor> =>
  new Map(all.map((sensor) => [sensor.id, sensor]));

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
