/**
 * A plant's readings, drawn from a seed: usual ones and strange ones, repeats, late ones and ones that nobody can use,
 * published until they are acknowledged, with a ledger of what the platform then owes.
 */
import { createRandom, type Random } from "@calibration/models/random.ts";
import { openBus } from "@calibration/shared/bus.ts";
import { doubles } from "@calibration/shared/columns.ts";
import type { Quality } from "@calibration/shared/reading.ts";
import { SETTINGS_DEFAULTS, UNIT_OF_TYPE, type SensorBody } from "@calibration/shared/sensor.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { setTimeout as pause } from "node:timers/promises";
import type { Arena } from "./arena.ts";

export interface LoadSensor {
  id: number;
  site: string;
  key: string;
  /** How it publishes, and how its time runs: as it happens, or history that is filled in. */
  kind: "live" | "bursts" | "history" | "rest";
  stepMs: number;
  beginsMs: number;
}

export interface Ledger {
  /** By sensor and timestamp: the first value that was sent, which must stand. */
  owed: Map<string, { value: number; quality: Quality }>;
  /** Each body that nobody can use, and under which reason it must be found. */
  refused: Map<string, string>;
  messages: number;
  readings: number;
  /** Publishes that had to be repeated. */
  again: number;
}

export interface Load {
  sensors: readonly LoadSensor[];
  ledger: Ledger;
  /** Lets the sensor say a reading that nobody can keep, and returns its payload once it is acknowledged. */
  poison(sensor: LoadSensor): Promise<string>;
  /** Ends when all that was begun is acknowledged. */
  stop(): Promise<void>;
}

const HISTORY_MS = 3 * 86_400_000;
/** Live series begin a little back, so that they never run ahead of the clock by more than plants may. */
const LIVE_BACK_MS = 60_000;
const ANSWER_MS_MAX = 3_000;
const RETRY_MS = 100;
/** Between two messages of one sensor: a load that two cores carry beside what is done to them. */
const PACE_MS = 60;
const DAY_MS = 86_400_000;
/** An array of a series that has caught up with the clock would run minutes ahead of it, and be refused with reason. */
const ARRAY_MAX = 12;

/** Which value PostgreSQL refuses, and as it is sent there: the eight bytes of a double. */
const POISON = 7654321.125;
export const POISON_SENT = doubles([POISON]).subarray(-8).toString("latin1");

/** In both databases, so that both runs refuse the same. */
export async function refusePoison(arena: Arena): Promise<void> {
  await arena.query(`create function refuse_poison() returns trigger language plpgsql as $$
    begin if new.raw_value = ${POISON} then raise exception 'refused'; end if; return new; end $$`);
  for (const table of ["readings", "corrected_readings"])
    await arena.query(
      `create trigger refuse_poison before insert on ${table} for each row execute function refuse_poison()`,
    );
}

export function createSensors(seed: number, nowMs: number): LoadSensor[] {
  const random = createRandom(seed, 1);
  const kinds = ["live", "live", "bursts", "history", "history", "history", "history", "rest"] as const;
  return kinds.flatMap((kind, n) =>
    ["north", "south"].map((site, s) => {
      const id = 100 + n * 2 + s;
      const isLive = kind === "live" || kind === "bursts";
      return {
        id,
        site,
        key: `${kind}-${id}`,
        kind,
        stepMs: isLive ? 50 + random.integer(30) : 20_000 + random.integer(20_000),
        beginsMs: nowMs - (isLive ? LIVE_BACK_MS : HISTORY_MS),
      };
    }),
  );
}

/** Without REST, and with the same instants in every database, so that two of them can be compared. */
export async function keepSensors(arena: Arena, sensors: readonly LoadSensor[], validFrom: Date): Promise<void> {
  for (const { id, site, key, kind } of sensors) {
    const body: SensorBody = {
      name: `Sensor ${id}`,
      type: "Temperature",
      unit: UNIT_OF_TYPE.Temperature,
      range_min: 0,
      range_max: 200,
      expected_interval_s: kind === "bursts" ? 1 : null,
      baseline: null,
      settings: { ...SETTINGS_DEFAULTS },
    };
    await arena.query(
      `insert into sensors (id, key, site, name, type, unit, range_min, range_max, expected_interval_s, settings, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
      [id, key, site, body.name, body.type, body.unit, 0, 200, body.expected_interval_s, body.settings, validFrom],
    );
    await arena.query(
      "insert into sensor_versions (sensor_id, valid_from, site, key, body) values ($1, $2, $3, $4, $5)",
      [id, validFrom, site, key, body],
    );
    if (id % 2 === 0) {
      await arena.query(
        `insert into calibrations (sensor_id, method, params, corrected_value, applied_at, valid_from)
         values ($1, 'linear', '{"slope": 1.01, "intercept": -0.5}', 50, $2, $3)`,
        [id, new Date(validFrom.getTime() - 2 * DAY_MS), validFrom],
      );
    }
  }
}

interface Item {
  value: number;
  timestamp: string;
  quality?: Quality;
}

/** What one sensor says next; drawing moves it on. Times come from the series, never from a clock. */
function createSeries(sensor: LoadSensor, random: Random) {
  let index = 0;
  let level = 50 + random.integer(50);
  const held: Item[] = [];
  const said: Item[] = [];
  const next = (): Item => {
    if (random.integer(400) === 0) level += random.normal() * 6;
    const isStrange = random.integer(60) === 0;
    const item: Item = {
      value: Math.round((level + random.normal() + (isStrange ? 25 * random.normal() : 0)) * 1000) / 1000,
      timestamp: new Date(sensor.beginsMs + index * sensor.stepMs).toISOString(),
    };
    index++;
    const quality = random.integer(40);
    if (quality === 0) item.quality = "bad";
    if (quality === 1) item.quality = "uncertain";
    said.push(item);
    if (said.length > 200) said.shift();
    return item;
  };
  return {
    timeMs: () => sensor.beginsMs + index * sensor.stepMs,
    /** The next one's instant, for something else than a reading. */
    instant: () => new Date(sensor.beginsMs + index++ * sensor.stepMs).toISOString(),
    next,
    /** One that is passed over now, to come late. */
    hold: () => void held.push(next()),
    late: (): Item | undefined => held.shift(),
    repeat: (): Item | undefined => said[random.integer(said.length)],
  };
}

export async function startLoad(
  arena: Arena,
  parts: { seed: number; sensors: readonly LoadSensor[]; restUrl: string; restToken: string },
): Promise<Load> {
  const { seed, sensors } = parts;
  const ledger: Ledger = { owed: new Map(), refused: new Map(), messages: 0, readings: 0, again: 0 };
  const stop = new AbortController();
  const plant = await openBus({
    natsUrl: arena.nats.url,
    natsUser: "plant",
    natsPassword: arena.nats.users.plant,
    name: "load",
  });

  const publish = async (subject: string, body: string, readings: number): Promise<void> => {
    ledger.messages++;
    ledger.readings += readings;
    for (;;) {
      try {
        await plant.jetstream.publish(subject, body, { timeout: ANSWER_MS_MAX });
        return;
      } catch {
        ledger.again++;
        await pause(RETRY_MS);
      }
    }
  };
  const post = async (items: readonly (Item & { sensor_id: number })[]): Promise<void> => {
    ledger.messages++;
    ledger.readings += items.length;
    const body = JSON.stringify(items.map(({ value, ...rest }) => ({ ...rest, raw_value: value })));
    for (;;) {
      const answer = await fetch(`${parts.restUrl}/api/readings/`, {
        method: "POST",
        headers: { authorization: `Bearer ${parts.restToken}`, "content-type": "application/json" },
        body,
        signal: AbortSignal.timeout(4 * ANSWER_MS_MAX),
      }).catch(() => null);
      const told = (await answer?.json().catch(() => null)) as { accepted: number } | null | undefined;
      if (answer?.status === 202 && told?.accepted === items.length) return;
      ledger.again++;
      await pause(RETRY_MS);
    }
  };
  const owe = (sensor: LoadSensor, item: Item): void => {
    const name = `${sensor.id} ${Date.parse(item.timestamp)}`;
    if (!ledger.owed.has(name)) ledger.owed.set(name, { value: item.value, quality: item.quality ?? "good" });
  };

  const poisons = new Map<number, { resolve(payload: string): void }>();
  const run = async (sensor: LoadSensor): Promise<void> => {
    const random = createRandom(seed, sensor.id);
    const series = createSeries(sensor, random);
    const subject = subjects.reading(sensor.site, sensor.key);
    const send = async (items: readonly Item[], asArray = items.length > 1): Promise<void> => {
      for (const item of items) owe(sensor, item);
      if (sensor.kind === "rest") await post(items.map((item) => ({ sensor_id: sensor.id, ...item })));
      else await publish(subject, JSON.stringify(asArray ? items : items[0]), items.length);
    };
    const refuse = async (text: string, reason: string, readings = 1, on = subject): Promise<void> => {
      ledger.refused.set(text, reason);
      await publish(on, text, readings);
    };
    for (let n = 0; !stop.signal.aborted; n++) {
      const asked = poisons.get(sensor.id);
      if (asked !== undefined) {
        poisons.delete(sensor.id);
        const text = `{"value": ${POISON}, "timestamp": "${series.instant()}", "mark": "${sensor.id}-${n}"}`;
        await refuse(text, "processing_failed");
        asked.resolve(text);
      }
      const drawn = random.integer(100);
      const late = series.late();
      const repeat = series.repeat();
      if (drawn < 4 && repeat !== undefined) {
        // The same instant with another value, or of another quality: the first one stands.
        const { value, timestamp, quality } = repeat;
        if (drawn === 0) await send([{ ...repeat, value: value + 1 }]);
        else if (drawn === 1)
          await send([quality === undefined ? { ...repeat, quality: "bad" } : { value, timestamp }]);
        else await send([repeat]);
      } else if (drawn < 7) series.hold();
      else if (drawn < 9 && late !== undefined) await send([late]);
      else if (drawn < 12 && sensor.kind !== "rest") {
        const mark = `${sensor.id}-${n}`;
        if (drawn === 9) await refuse(`{"value": ${n}, "mark": "${mark}"`, "invalid_json");
        else if (drawn === 10) {
          const unknown = subjects.reading(sensor.site, `nobody-${sensor.id}`);
          await refuse(
            JSON.stringify({ value: n, mark, timestamp: series.next().timestamp }),
            "unknown_sensor",
            1,
            unknown,
          );
        } else {
          const future = new Date(sensor.beginsMs + 40 * DAY_MS).toISOString();
          await refuse(JSON.stringify({ value: n, mark, timestamp: future }), "future_timestamp");
        }
      } else if (drawn < 15 && sensor.kind !== "rest") {
        // One bad element of an array is refused alone.
        const good = [series.next(), series.next()];
        for (const item of good) owe(sensor, item);
        const bad = { value: "hot", mark: `${sensor.id}-${n}` };
        ledger.refused.set(JSON.stringify(bad), "invalid_reading");
        await publish(subject, JSON.stringify([good[0], bad, good[1]]), 3);
      } else {
        const size = sensor.kind === "history" || sensor.kind === "rest" ? 1 + random.integer(ARRAY_MAX) : 1;
        await send(Array.from({ length: size }, () => series.next()));
      }
      if (sensor.kind === "bursts" && n % 100 === 99)
        await pause(8_000, undefined, { signal: stop.signal }).catch(() => undefined);
      const aheadMs = series.timeMs() + ARRAY_MAX * sensor.stepMs - Date.now();
      await pause(Math.max(PACE_MS, aheadMs), undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const running = Promise.all(sensors.map(run));
  return {
    sensors,
    ledger,
    poison: (sensor) => new Promise((resolve) => poisons.set(sensor.id, { resolve })),
    async stop() {
      stop.abort();
      await running;
      await plant[Symbol.asyncDispose]();
    },
  };
}
