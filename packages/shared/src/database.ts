import pg from "pg";

export interface Database extends AsyncDisposable {
  pool: pg.Pool;
}

/** A transaction left open by a frozen replica would hold its position's lock for as long as it sleeps. */
const IDLE_IN_TRANSACTION_MS_MAX = 30_000;
/**
 * A row that somebody else holds. Only another owner of a partition holds one for longer than a moment, and a frozen one
 * holds several: whoever waits for them would keep all the pool's connections from those that can work.
 */
const LOCK_MS_MAX = 5_000;
/** A connection, or its turn in the pool: on a starved machine it takes tens of seconds, and a retry would take as long. */
const CONNECT_MS_MAX = 30_000;
/** How long a service that starts waits for a PostgreSQL that does not answer yet. */
const FIRST_ANSWER_MS_MAX = 180_000;
const FIRST_ANSWER_PAUSE_MS = 500;
/** No statement takes so long; a connection that a firewall has forgotten answers never, and TCP alone notices after 15 minutes. */
const ANSWER_MS_MAX = 180_000;
/** Of one service; its watch has one more. */
export const POOL_SIZE = 6;

// A bigint column holds stream sequences and counts, all far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** Opens a pool of connections, and waits for PostgreSQL where it is not there yet. What is wrong for good (a password) is thrown. */
export async function openDatabase(
  databaseUrl: string,
  options: { poolSize?: number; name?: string; pipeline?: boolean } = {},
): Promise<Database> {
  const config: pg.PoolConfig & { pipeline: boolean } = {
    // Statements of one connection are sent without waiting for the one before; they are still carried out in turn.
    pipeline: options.pipeline ?? false,
    ...(options.pipeline === true ? { lock_timeout: LOCK_MS_MAX } : {}),
    connectionString: databaseUrl,
    max: options.poolSize ?? POOL_SIZE,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    query_timeout: ANSWER_MS_MAX,
    keepAlive: true,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    application_name: options.name ?? "calibration",
  };
  const pool = new pg.Pool(config);
  // A connection that breaks, idle or in use, is replaced by the pool; without a listener it would end the process.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  await firstAnswer(pool);
  return {
    pool,
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

async function firstAnswer(pool: pg.Pool): Promise<void> {
  const begunMs = performance.now();
  for (;;) {
    try {
      await pool.query("select 1");
      return;
    } catch (error) {
      if (!isDatabaseTrouble(error) || performance.now() - begunMs > FIRST_ANSWER_MS_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_ANSWER_PAUSE_MS));
    }
  }
}

/** Runs `work` in one transaction; anything thrown rolls it back. */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback").catch((rollbackError: Error) => (broken = rollbackError));
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * A transaction of two round trips, on a pool with `pipeline`: `begin` goes out with the first statements of `work`, and
 * `commit` with the last one, which `work` leaves running. Anything thrown rolls it back.
 */
export async function inPipelinedTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<{ result: T; last: Promise<unknown> }>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    const begun = client.query("begin");
    begun.catch(() => undefined);
    const { result, last } = await work(client);
    last.catch(() => undefined);
    // A transaction that failed on the way is rolled back by this; what failed is thrown by one of these.
    const ended = client.query("commit");
    ended.catch(() => undefined);
    await begun;
    await last;
    await ended;
    return result;
  } catch (error) {
    await client.query("rollback").catch((rollbackError: Error) => (broken = rollbackError));
    throw error;
  } finally {
    client.release(broken);
  }
}

/** PostgreSQL is away, busy or ending the session: the same work may succeed later, so it is no fault of the batch. */
export function isDatabaseTrouble(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") {
    if (/^(08|40|53|55|57|58|25006|25P03)/.test(code)) return true;
    if (/^E[A-Z]+$/.test(code)) return true;
  }
  return (
    error instanceof Error &&
    /Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable/.test(
      error.message,
    )
  );
}
