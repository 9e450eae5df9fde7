/** What a command opens. Where it does not come about, one sentence and exit code 1: whoever typed it wants no stack. */
import { openBus, type Bus, type BusOptions } from "@calibration/shared/bus.ts";
import { openDatabase, type Database } from "@calibration/shared/database.ts";

/** A service waits for NATS as long as it takes; a person is told. */
const NATS_MS_MAX = 30_000;

export async function openBusOrEnd(options: BusOptions): Promise<Bus> {
  const place = withoutSecrets(options.natsUrl);
  const waiting = setTimeout(() => end(`NATS does not answer at ${place}.`), NATS_MS_MAX);
  try {
    return await openBus(options);
  } catch (error) {
    return end(`NATS at ${place} let nobody in: ${(error as Error).message}`);
  } finally {
    clearTimeout(waiting);
  }
}

export const openDatabaseOrEnd = (databaseUrl: string): Promise<Database> =>
  openDatabase(databaseUrl, { name: "cli", poolSize: 2 }).catch((error: unknown) =>
    end(`PostgreSQL at ${withoutSecrets(databaseUrl)} cannot be used: ${(error as Error).message}`),
  );

const withoutSecrets = (url: string): string => url.replaceAll(/(^|\/\/|,)[^@/,]*@/g, "$1");

/** What a plant's message may meet: no right to its site, or a full stream. */
export const notTaken = (error: unknown): never => end(`NATS did not take it: ${(error as Error).message}`);

function end(why: string): never {
  console.error(why);
  process.exit(1);
}
