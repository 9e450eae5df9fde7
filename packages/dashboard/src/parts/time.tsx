/** Times in the viewer's zone, with UTC on hover, and ages that grow while one looks. */
import { useSyncExternalStore } from "react";
import { formatAge, formatTime, formatUtc } from "../format.ts";

const TICK_MS = 1_000;
let nowMs = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    nowMs = Date.now();
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The clock, to so many milliseconds: a component that shows minutes is not drawn every second. */
export const useNow = (stepMs = TICK_MS): number =>
  useSyncExternalStore(subscribe, () => Math.floor(nowMs / stepMs) * stepMs);

export function Time({ at }: { at: string }) {
  const now = useNow(60_000);
  return (
    <time dateTime={at} title={formatUtc(at)}>
      {formatTime(at, now)}
    </time>
  );
}

export function Age({ at }: { at: string | null }) {
  const now = useNow();
  if (at === null) return <span>never</span>;
  return (
    <time dateTime={at} title={formatUtc(at)}>
      {formatAge(at, now)}
    </time>
  );
}
