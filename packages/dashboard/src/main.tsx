import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { defaultParseSearch, RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api.ts";
import "./main.css";
import { readPlantSearch } from "./features/plant/search.ts";
import { attentionQuery, openAlarmsQuery, sensorsQuery, sessionQuery } from "./queries.ts";
import { createAppRouter } from "./router.tsx";
import { useUpCode } from "./session.tsx";

const RETRIES_MAX = 2;
const FRESH_MS = 2_000;

/** A Chromium under LANG=C calls its language "en-US@posix", which Intl refuses; uPlot hands it on when it is loaded. */
function haveLanguage(): void {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en-US" });
  }
}

/** What failed on the way is asked for again, at once a few times and then so often; a refusal stays one. */
const AGAIN_MS = 10_000;
const isRefusal = (error: unknown): boolean => error instanceof ApiError && error.status < 500;

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      retry: (failures, error) => failures < RETRIES_MAX && !isRefusal(error),
      refetchInterval: ({ state }) => (state.status === "error" && !isRefusal(state.error) ? AGAIN_MS : false),
      // The platform may be on this machine, which has no network.
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

haveLanguage();
await useUpCode();
// What every page begins with is asked for together with who is signed in, not after it.
void client.prefetchQuery(sessionQuery);
void client.prefetchQuery(openAlarmsQuery);
void client.prefetchQuery(sensorsQuery);
if (location.pathname === "/")
  void client.prefetchQuery(attentionQuery(readPlantSearch(defaultParseSearch(location.search))));
createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={createAppRouter()} />
    </QueryClientProvider>
  </StrictMode>,
);
