/** Where each page lives. The first page comes with the frame, the others when somebody goes there. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { problemText } from "./api.ts";
import { readAnomalySearch } from "./features/anomalies/search.ts";
import { readCalibrationSearch } from "./features/calibrations/search.ts";
import { readModelSearch } from "./features/models/search.ts";
import { PlantPage } from "./features/plant/page.tsx";
import { readPlantSearch } from "./features/plant/search.ts";
import { readRangeSearch } from "./features/sensor/range.ts";
import { Button } from "./parts/controls.tsx";
import { Empty } from "./parts/states.tsx";
import { Shell } from "./shell.tsx";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Empty title="There is no such page">
      <a href="/">To the plant</a>
    </Empty>
  ),
});

const plant = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: readPlantSearch,
  component: PlantPage,
});
const sensor = createRoute({
  getParentRoute: () => root,
  path: "/sensors/$sensorId",
  validateSearch: readRangeSearch,
  component: lazyRouteComponent(() => import("./features/sensor/page.tsx"), "SensorPage"),
});
const anomalies = createRoute({
  getParentRoute: () => root,
  path: "/anomalies",
  validateSearch: readAnomalySearch,
  component: lazyRouteComponent(() => import("./features/anomalies/page.tsx"), "AnomaliesPage"),
});
const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  validateSearch: readModelSearch,
  component: lazyRouteComponent(() => import("./features/models/page.tsx"), "ModelsPage"),
});
const calibrations = createRoute({
  getParentRoute: () => root,
  path: "/calibrations",
  validateSearch: readCalibrationSearch,
  component: lazyRouteComponent(() => import("./features/calibrations/page.tsx"), "CalibrationsPage"),
});
const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  component: lazyRouteComponent(() => import("./features/system/page.tsx"), "SystemPage"),
});

export const createAppRouter = () =>
  createRouter({
    routeTree: root.addChildren([plant, sensor, anomalies, models, calibrations, system]),
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultErrorComponent: ({ error, reset }) => (
      <div className="note" role="alert">
        <h1>This page failed</h1>
        <p>{problemText(error)} The platform goes on without it.</p>
        <Button onPress={reset}>Try again</Button>
      </div>
    ),
  });

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
