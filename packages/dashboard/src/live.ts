/** The gateway's Server-Sent Events: kept open, opened again when lost, and honest about how old what is shown may be. */
import type { QueryClient } from "@tanstack/react-query";
import { createParser } from "eventsource-parser";
import { useSyncExternalStore } from "react";
import { tellSignedOut, type Sensor } from "./api.ts";
import { keys } from "./queries.ts";

export type LiveState = { kind: "connecting" | "live" | "reconnecting" | "stale"; sinceMs: number };

/** The gateway says something at least every 15 s; twice that without a word is a dead connection that nobody told us of. */
const SILENCE_MS_MAX = 35_000;
/** So long a lost connection may be a restart; after that what is shown is called stale. */
const STALE_MS = 10_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 10_000;
/** Lists are asked for again at most so often, however many events come. */
const REFRESH_MS = 2_000;

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
    event: (event) => takeIn(client, event, refresh),
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

function createRefresher(client: QueryClient): (key: readonly unknown[]) => void {
  const waiting = new Map<string, ReturnType<typeof setTimeout>>();
  return (key) => {
    const name = JSON.stringify(key);
    if (waiting.has(name)) return;
    waiting.set(
      name,
      setTimeout(() => {
        waiting.delete(name);
        void client.invalidateQueries({ queryKey: key });
      }, REFRESH_MS),
    );
  };
}

function takeIn(client: QueryClient, { kind, body }: LiveEvent, refresh: (key: readonly unknown[]) => void): void {
  if (kind === "sensor") {
    const { event, ...sensor } = body as Sensor & { event: string };
    if (event === "status_changed" || event === "changed") {
      client.setQueryData<Sensor[]>(keys.sensors, (all) =>
        all?.map((one) => (one.id === sensor.id ? { ...one, ...sensor } : one)),
      );
      client.setQueryData<Sensor>(keys.sensor(sensor.id), sensor);
    } else refresh(keys.sensors);
  } else if (kind === "anomaly") {
    refresh(keys.anomalies);
    refresh(keys.sensors);
    refresh(keys.sensor((body as { sensor_id: number }).sensor_id));
  } else if (kind === "drift") refresh(keys.sensors);
  else if (kind === "model") {
    refresh(keys.models);
    refresh(keys.runs);
  } else if (kind === "reset") void client.invalidateQueries();
}
