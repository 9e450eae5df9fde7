import { expect, it } from "vitest";
import type { System } from "../../api.ts";
import { errorsOf } from "./errors.ts";

const service = (given: Partial<System["services"][number]>): System["services"][number] => ({
  service: "anomaly",
  replicas: ["a"],
  lag: 0,
  per_second: 1,
  failing_partitions: 0,
  counters: {},
  ...given,
});
const training = { waiting: 0, running: 0, failed_last_day: 2 };

it("says what went wrong, and not what is merely so", () => {
  expect(errorsOf(service({ counters: { "fallback/model_missing": 300, received: 9 } }), training)).toBe("none");
  expect(errorsOf(service({ failing_partitions: 1, counters: { "fallback/model_damaged": 1200 } }), training)).toBe(
    "1 partition fails, 1,200 answered without the model (model damaged)",
  );
  expect(errorsOf(service({ counters: { "dead/invalid_json": 2, "dead/too_old": 3 } }), training)).toBe(
    "5 dead letters ever",
  );
  expect(errorsOf(service({ service: "trainer", lag: null }), training)).toBe("2 failed in the last day");
  expect(errorsOf(service({ service: "gateway", lag: null }), training)).toBe("–");
});
