/** What the chart draws, asked for in parts: the measured line first, the rest when it comes. */
import { queryOptions, keepPreviousData } from "@tanstack/react-query";
import {
  ask,
  query,
  type Bucket,
  type DriftPrediction,
  type ExpectedHour,
  type Page,
  type Reading,
} from "../../api.ts";
import type { Range } from "./range.ts";

export interface Point {
  ms: number;
  mean: number;
  min: number;
  max: number;
}

export interface Series {
  points: Point[];
  /** Seconds that one point stands for; 0: a single reading. */
  resolution: number;
}

type Buckets = Page<Bucket> & { resolution: number };

/** So few readings are shown one by one. */
const SINGLE_READINGS_MAX = 1000;
const BAND_MS_MAX = 90 * 24 * 3_600_000;
const FINEST_S = 60;

const period = ({ fromMs, toMs }: Range) => ({
  from: new Date(fromMs).toISOString(),
  to: new Date(toMs).toISOString(),
});
const base = (sensorId: number, range: Range) => ["series", sensorId, range.fromMs, range.toMs] as const;

const toSeries = ({ results, resolution }: Buckets): Series => ({
  resolution,
  points: results.map(({ timestamp, mean, min, max }) => ({ ms: Date.parse(timestamp), mean, min, max })),
});

const toPoint = (timestamp: string, value: number): Point => ({
  ms: Date.parse(timestamp),
  mean: value,
  min: value,
  max: value,
});

export const measuredQuery = (sensorId: number, range: Range) =>
  queryOptions({
    queryKey: [...base(sensorId, range), "measured"],
    queryFn: async ({ signal }): Promise<{ raw: Series; corrected: Series | null }> => {
      const asked = { sensor_id: sensorId, order: "asc", ...period(range) };
      const buckets = await ask<Buckets>(`/api/readings/${query({ ...asked, resolution: "auto" })}`, { signal });
      const readings = buckets.results.reduce((sum, { count }) => sum + count, 0);
      if (buckets.resolution > FINEST_S || readings > SINGLE_READINGS_MAX)
        return { raw: toSeries(buckets), corrected: null };
      const { results } = await ask<Page<Reading>>(`/api/readings/${query({ ...asked, limit: SINGLE_READINGS_MAX })}`, {
        signal,
      });
      return {
        raw: { resolution: 0, points: results.map((one) => toPoint(one.timestamp, one.raw_value)) },
        corrected: {
          resolution: 0,
          points: results.flatMap((one) =>
            one.corrected_value === null ? [] : [toPoint(one.timestamp, one.corrected_value)],
          ),
        },
      };
    },
    placeholderData: keepPreviousData,
  });

/** Only where the readings themselves are not shown: those carry what they were corrected to. */
export const correctedQuery = (sensorId: number, range: Range, enabled: boolean) =>
  queryOptions({
    queryKey: [...base(sensorId, range), "corrected"],
    queryFn: async ({ signal }) =>
      toSeries(
        await ask<Buckets>(
          `/api/readings/${query({ sensor_id: sensorId, order: "asc", ...period(range), resolution: "auto", series: "corrected" })}`,
          { signal },
        ),
      ),
    placeholderData: keepPreviousData,
    enabled,
  });

export const expectedQuery = (sensorId: number, range: Range) =>
  queryOptions({
    queryKey: ["series", sensorId, Math.floor(range.fromMs / 3_600_000), Math.ceil(range.toMs / 3_600_000), "expected"],
    queryFn: ({ signal }) =>
      ask<{ model_version: number | null; results: ExpectedHour[] }>(
        `/api/sensors/${sensorId}/expected/${query(period(range))}`,
        { signal },
      ),
    placeholderData: keepPreviousData,
    enabled: range.toMs - range.fromMs <= BAND_MS_MAX,
    staleTime: 60_000,
  });

export const forecastQuery = (sensorId: number, asked: { horizon: number; step: number } | null) =>
  queryOptions({
    queryKey: ["series", sensorId, "forecast", asked],
    queryFn: ({ signal }) =>
      ask<DriftPrediction>(`/api/sensors/${sensorId}/drift-prediction/${query({ ...asked })}`, { signal }),
    enabled: asked !== null,
    staleTime: 60_000,
  });
