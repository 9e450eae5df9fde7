import { expect, it } from "vitest";
import { byAttention, countStatuses, isSought, type Attended } from "./attention.ts";

const sensor = (id: number, given: Partial<Attended> = {}): Attended => ({
  id,
  name: `Sensor ${id}`,
  key: String(id),
  site: "main",
  type: "Flow",
  status: "online",
  drift: null,
  open_alarms: 0,
  ...given,
});

it("puts first what needs somebody: by status, open alarms, drift, name", () => {
  const sorted = [
    sensor(1),
    sensor(2, { drift: -3 }),
    sensor(3, { status: "offline" }),
    sensor(4, { status: "warning" }),
    sensor(5, { status: "critical" }),
    sensor(6, { status: "warning", open_alarms: 2 }),
    sensor(7, { drift: 1 }),
  ].toSorted(byAttention);
  expect(sorted.map(({ id }) => id)).toEqual([5, 6, 4, 3, 2, 7, 1]);
});

it("finds a sensor by any words of what names it, and by its filters", () => {
  const reactor = sensor(17, { name: "Reactor Temp Sensor", type: "Temperature", site: "north" });
  expect(isSought(reactor, { q: "temp 17" })).toBe(true);
  expect(isSought(reactor, { q: "NORTH" })).toBe(true);
  expect(isSought(reactor, { q: "temp 18" })).toBe(false);
  expect(isSought(reactor, { site: "south" })).toBe(false);
  expect(isSought(reactor, { type: "Temperature", status: "online" })).toBe(true);
  expect(countStatuses([reactor, sensor(1, { status: "offline" })])).toEqual({
    critical: 0,
    warning: 0,
    offline: 1,
    online: 1,
  });
});
