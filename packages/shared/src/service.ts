/** What every stream service opens, in this order; it closes in reverse. */
import { setFlagsFromString } from "node:v8";
import { openBus, untilStreams, type Bus } from "./bus.ts";
import { openDatabase, type Database } from "./database.ts";
import { openHealth, type Health } from "./health.ts";
import { openHearing, type Hearing, type HearingParts } from "./hear.ts";
import { endWithParent } from "./lifetime.ts";
import { createLog, type Log } from "./log.ts";
import { createStreamMetrics } from "./metrics.ts";
import { openPresence, type Presence } from "./presence.ts";
import { openWatch, type Watch } from "./watch.ts";

/**
 * How far the heap may grow beyond what lives in it before V8 collects it whole. V8's own answer is up to four times, on a machine
 * with room: of a service that hears batch after batch most of that is garbage.
 */
const HEAP_GROWS_PERCENT = 100;

export interface ServiceConfig {
  natsUrl: string;
  natsUser: string;
  natsPassword: string;
  databaseUrl: string;
  metricsPort: number;
  metricsHost: string;
  logLevel: string;
  stallSeconds: number;
}

export interface Plumbing extends AsyncDisposable {
  bus: Bus;
  database: Database;
  health: Health;
  watch: Watch;
  stallMs: number;
}

export async function openPlumbing(service: string, config: ServiceConfig): Promise<Plumbing> {
  endWithParent();
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWS_PERCENT}`);
  await using stack = new AsyncDisposableStack();
  const log = createLog(service, config.logLevel);
  const health = stack.use(await openHealth({ service, host: config.metricsHost, port: config.metricsPort, log }));
  const database = stack.use(await openDatabase(config.databaseUrl, { name: service, pipeline: true }));
  const bus = stack.use(await openBus({ ...config, name: service }));
  await untilStreams(bus);
  const watch = stack.use(openWatch({ service, bus, databaseUrl: config.databaseUrl, report: health.report }));
  const opened = stack.move();
  const stallMs = config.stallSeconds * 1000;
  return { bus, database, health, watch, stallMs, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

export interface StreamService extends AsyncDisposable {
  presence: Presence;
  hearing: Hearing;
}

/** Joins the service's replicas and hears the partitions that fall to this one. */
export async function openStreamService<Decided>(
  service: string,
  { bus, database, health, watch, stallMs }: Plumbing,
  log: Log,
  { open, keep }: Pick<HearingParts<Decided>, "open" | "keep">,
): Promise<StreamService> {
  await using stack = new AsyncDisposableStack();
  const metrics = createStreamMetrics(health.registry, service);
  const presence = stack.use(await openPresence(bus, service, () => watch.databaseAnswers()));
  const hearing = stack.use(
    await openHearing({ service, bus, database, presence, metrics, log, report: health.report, stallMs, open, keep }),
  );
  health.report("start", null);
  const opened = stack.move();
  return { presence, hearing, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
