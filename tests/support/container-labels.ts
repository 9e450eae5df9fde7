/** How the containers of a run of tests are told from all others, and whether that run is still going on. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

export const LABEL_RUN = "calibration.test-run";
export const LABEL_HOST = "calibration.test-host";
export const LABEL_PROCESS = "calibration.test-process";

export const ownLabels = (): Record<string, string> => ({
  [LABEL_RUN]: randomUUID(),
  [LABEL_HOST]: hostname(),
  [LABEL_PROCESS]: String(process.pid),
});

/** A process number means something on its own host alone: what belongs to another is left to it. */
export function isOrphan(labels: Readonly<Record<string, string>>): boolean {
  if (labels[LABEL_HOST] !== hostname()) return false;
  try {
    process.kill(Number(labels[LABEL_PROCESS]), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
