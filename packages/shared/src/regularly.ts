/**
 * Does a piece of work now and at an interval, one at a time: a slow one is waited for and none is made up for. Disposing
 * waits for the one that runs.
 */
export function regularly(
  everyMs: number,
  work: () => Promise<void>,
  failed: (error: unknown) => void,
): AsyncDisposable {
  let running: Promise<void> | null = null;
  const once = (): void => {
    running ??= work()
      .catch(failed)
      .finally(() => (running = null));
  };
  once();
  const timer = setInterval(once, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
