/** The roll: which replicas of which service are there now, heard from the presence they all tell. */
import type { Bus } from "@calibration/shared/bus.ts";
import { DEAD_MS } from "@calibration/shared/presence.ts";
import { subjects } from "@calibration/shared/topology.ts";

export interface Replica {
  service: string;
  replica: string;
}

export interface Roll extends AsyncDisposable {
  replicas(): readonly Replica[];
}

export function openRoll(bus: Pick<Bus, "connection">): Roll {
  const heard = new Map<string, Replica & { atMs: number }>();
  const subscription = bus.connection.subscribe(subjects.presence("*"), {
    callback: (error, message) => {
      if (error !== null) return;
      const { replica, leaving } = message.json<{ replica: string; leaving?: boolean }>();
      const service = message.subject.split(".")[1]!;
      if (leaving === true) heard.delete(`${service} ${replica}`);
      else heard.set(`${service} ${replica}`, { service, replica, atMs: performance.now() });
    },
  });
  return {
    replicas() {
      const now = performance.now();
      // A beat a second late is a busy machine; three times what makes a replica lose its partitions is not there.
      for (const [name, { atMs }] of heard) if (now - atMs > 3 * DEAD_MS) heard.delete(name);
      return [...heard.values()].map(({ service, replica }) => ({ service, replica }));
    },
    async [Symbol.asyncDispose]() {
      subscription.unsubscribe();
    },
  };
}
