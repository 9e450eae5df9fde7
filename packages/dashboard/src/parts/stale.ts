/** Whether anything that is shown could not be asked for again: what stays on the page after a failure may not look fresh. */
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useCallback, useSyncExternalStore } from "react";

/** Since when the oldest of what is shown is, epoch milliseconds; null where all of it is as fresh as it should be. */
export function useStaleSince(): number | null {
  const client = useQueryClient();
  const subscribe = useCallback((listener: () => void) => client.getQueryCache().subscribe(listener), [client]);
  return useSyncExternalStore(subscribe, () => staleSince(client));
}

function staleSince(client: QueryClient): number | null {
  let since: number | null = null;
  for (const query of client.getQueryCache().getAll()) {
    const { status, data, dataUpdatedAt } = query.state;
    if (status === "error" && data !== undefined && query.isActive())
      since = Math.min(since ?? Infinity, dataUpdatedAt);
  }
  return since;
}
