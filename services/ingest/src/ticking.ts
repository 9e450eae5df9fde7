import type { Bus } from "@calibration/shared/bus.ts";
import type { Hearing } from "@calibration/shared/hear.ts";
import { subjects } from "@calibration/shared/topology.ts";

/** Absence is noticed to about this: a minute-by-minute sensor is missed after four minutes, and ten seconds more. */
const TICK_MS = 10_000;

/** Says into the log of each partition that time has passed, so that absence is judged on what is recorded. */
export function openTicking(bus: Pick<Bus, "jetstream">, hearing: Pick<Hearing, "partitionsOwned">): AsyncDisposable {
  const tick = () => {
    for (const partition of hearing.partitionsOwned()) {
      // One that is lost is followed by another.
      bus.jetstream.publish(subjects.tick(partition)).catch(() => undefined);
    }
  };
  const ticking = setInterval(tick, TICK_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(ticking);
    },
  };
}
