/** The gateway's Server-Sent Events: kept open, opened again when lost, and honest about how old what is shown may be. */
import type { QueryClient } from "@tanstack/react-query";
import { createParser } from "eventsource-parser";
import { useSyncExternalStore } from "react";
import { ask, tellSignedOut, type Sensor } from "./api.ts";
import { keys, putSensors } from "./queries.ts";

export type LiveState = { kind: "connecting" | "live" | "reconnecting" | "stale"; sinceMs: number };

/** The gateway says something at least every 15 s; twice that without a word is a dead connection that nobody told us of. */
const SILENCE_MS_MAX = 35_000;
/** So long a lost connection may be a restart; after that what is shown is called stale. */
const STALE_MS = 10_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 10_000;
/** Lists are asked for again at most so often, however many events come. */
const REFRESH_MS = 2_000;
/** What sensors say of themselves is drawn at most so often. */
const GATHER_MS = 250;
/** So many sensors are asked for one by one; a page of the list is a thousand. */
const LOOKED_AT_MAX = 10;

let state: LiveState = { kind: "connecting", sinceMs: Date.now() };
const listeners = new Set<() => void>();

function become(kind: LiveState["kind"], sinceMs: number): void {
  if (state.kind === kind && state.sinceMs === sinceMs) return;
  state = { kind, sinceMs };
  for (const listener of listeners) listener();
}

export const useLive = (): LiveState =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => state,
  );

export interface LiveEvent {
  kind: string;
  body: unknown;
}

/** Follows every event until stopped, and keeps what was asked for up to date. */
export function followPlant(client: QueryClient): () => void {
  const stop = new AbortController();
  const refresh = createRefresher(client);
  const sensors = createGatherer(client, refresh);
  let lastHeardMs = Date.now();
  let staleTimer: ReturnType<typeof setTimeout> | undefined;
  let wasLive = false;
  void listen("/api/events/", stop.signal, {
    heard: () => (lastHeardMs = Date.now()),
    opened() {
      clearTimeout(staleTimer);
      become("live", Date.now());
      // What was told while we were away is asked for.
      if (wasLive) void client.invalidateQueries();
      wasLive = true;
    },
    lost() {
      if (state.kind === "stale" || state.kind === "reconnecting") return;
      become("reconnecting", lastHeardMs);
      staleTimer = setTimeout(() => become("stale", lastHeardMs), STALE_MS);
    },
    event: (event) => takeIn(event, client, refresh, sensors),
  });
  return () => {
    clearTimeout(staleTimer);
    stop.abort();
    become("connecting", Date.now());
  };
}

/** Follows one sensor's readings until stopped. */
export function followSensor(sensorId: number, onReading: () => void): () => void {
  const stop = new AbortController();
  const nothing = () => undefined;
  void listen(`/api/events/?sensor_id=${sensorId}`, stop.signal, {
    heard: nothing,
    opened: nothing,
    lost: nothing,
    event: ({ kind }) => kind === "reading" && onReading(),
  });
  return () => stop.abort();
}

interface Hearing {
  /** Anything came, a comment among it. */
  heard(): void;
  opened(): void;
  lost(): void;
  event(event: LiveEvent): void;
}

async function listen(path: string, stop: AbortSignal, hearing: Hearing): Promise<void> {
  let lastId: string | null = null;
  let retryMs = RETRY_MS_MIN;
  const parser = createParser({
    onEvent({ event = "message", id, data }) {
      if (id !== undefined) lastId = id;
      hearing.event({ kind: event, body: JSON.parse(data) as unknown });
    },
  });
  while (!stop.aborted) {
    const attempt = new AbortController();
    const signal = AbortSignal.any([stop, attempt.signal]);
    let watchdog = setTimeout(() => attempt.abort(), SILENCE_MS_MAX);
    try {
      const response = await fetch(path, { headers: lastId === null ? {} : { "last-event-id": lastId }, signal });
      if (response.status === 401) return tellSignedOut();
      if (!response.ok || response.body === null) throw new Error(`events were answered with ${response.status}`);
      retryMs = RETRY_MS_MIN;
      hearing.opened();
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => attempt.abort(), SILENCE_MS_MAX);
        hearing.heard();
        parser.feed(decoder.decode(part.value, { stream: true }));
      }
    } catch {
      // Whatever ended it, it is opened again.
    } finally {
      clearTimeout(watchdog);
      parser.reset();
    }
    if (stop.aborted) return;
    hearing.lost();
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    retryMs = Math.min(RETRY_MS_MAX, retryMs * 2);
  }
}

type Refresh = (key: readonly unknown[]) => void;

function createRefresher(client: QueryClient): Refresh {
  const waiting = new Set<string>();
  const refreshSoon: Refresh = (key) => {
    const name = JSON.stringify(key);
    if (waiting.has(name)) return;
    waiting.add(name);
    setTimeout(() => {
      waiting.delete(name);
      // A list of many pages that is under way is waited for: begun anew with every event it would never end.
      if (client.isFetching({ queryKey: key }) > 0) refreshSoon(key);
      else void client.invalidateQueries({ queryKey: key });
    }, REFRESH_MS);
  };
  return refreshSoon;
}

/**
 * Sensors that were told of, taken into the lists together: when a whole site goes silent, thousands are told of at once. Of a
 * few that something happened to, each is asked for; of many the list, which may be ten pages.
 */
function createGatherer(client: QueryClient, refresh: Refresh): { put(sensor: Sensor): void; look(id: number): void } {
  const told = new Map<number, Sensor>();
  const happened = new Set<number>();
  const gathered = (take: () => void, ms: number) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    return () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        take();
      }, ms);
    };
  };
  const putSoon = gathered(() => {
    putSensors(client, told);
    for (const [id, sensor] of told) {
      if (client.getQueryData(keys.sensor(id)) !== undefined) client.setQueryData<Sensor>(keys.sensor(id), sensor);
    }
    told.clear();
  }, GATHER_MS);
  const put = (sensor: Sensor) => {
    told.set(sensor.id, sensor);
    putSoon();
  };
  const lookSoon = gathered(() => {
    const ids = [...happened];
    happened.clear();
    if (ids.length > LOOKED_AT_MAX) refresh(keys.sensors);
    else for (const id of ids) void ask<Sensor>(`/api/sensors/${id}/`).then(put, () => refresh(keys.sensors));
  }, REFRESH_MS);
  return {
    put,
    look(id) {
      happened.add(id);
      lookSoon();
    },
  };
}

function takeIn(
  { kind, body }: LiveEvent,
  client: QueryClient,
  refresh: Refresh,
  sensors: ReturnType<typeof createGatherer>,
): void {
  if (kind === "sensor") {
    const { event, ...sensor } = body as Sensor & { event: string };
    if (event === "status_changed" || event === "changed") sensors.put(sensor);
    else refresh(keys.sensors);
  } else if (kind === "anomaly") {
    refresh(keys.anomalies);
    sensors.look((body as { sensor_id: number }).sensor_id);
  } else if (kind === "drift") sensors.look((body as { sensor_id: number }).sensor_id);
  else if (kind === "model") {
    refresh(keys.models);
    refresh(keys.runs);
  } else if (kind === "reset") void client.invalidateQueries();
}
