/**
 * `container-guardian.ts LABELS`: removes the containers of one run of tests when its standard input closes, which the
 * kernel sees to even after a SIGKILL. Begins with what earlier runs left behind where nobody was left to do so.
 */
import { getContainerRuntimeClient } from "testcontainers";
import { isOrphan, LABEL_RUN } from "./container-labels.ts";

/** A worker that outlives its run for a moment may have asked for one more container. */
const SWEEPS_IN_VAIN = 2;
const PAUSE_MS = 1_000;
const SWEEPS_MAX = 30;

const labels = JSON.parse(process.argv[2]!) as Record<string, string>;
for (const ignored of ["SIGINT", "SIGHUP", "SIGTERM"]) process.on(ignored, () => undefined);
const { promise: ended, resolve: end } = Promise.withResolvers<string>();
// Nobody writes anything; a closed pipe is all there is to hear.
process.stdin.on("end", () => end("run is over"));
process.stdin.on("error", () => end("run is over"));
process.stdin.resume();

const { container } = await getContainerRuntimeClient();
await removeAll((found) => isOrphan(found));
await ended;
// The run that waits for us starts nothing more; after one that was killed it pays to look again.
for (let sweep = 0, inVain = 0; sweep < SWEEPS_MAX && inVain < SWEEPS_IN_VAIN; sweep++) {
  const removed = await removeAll((found) => found[LABEL_RUN] === labels[LABEL_RUN]);
  inVain = removed === 0 ? inVain + 1 : 0;
  if (inVain < SWEEPS_IN_VAIN) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
process.exit(0);

/** How many there were. One that is being removed already, by the test that started it, is none of ours. */
async function removeAll(isOurs: (labels: Record<string, string>) => boolean): Promise<number> {
  const found = await container.dockerode.listContainers({ all: true, filters: { label: [LABEL_RUN] } });
  const ours = found.filter(({ Labels: theirs }) => isOurs(theirs));
  await Promise.all(
    ours.map(({ Id: id }) =>
      container.dockerode
        .getContainer(id)
        .remove({ force: true, v: true })
        .catch(() => undefined),
    ),
  );
  return ours.length;
}
