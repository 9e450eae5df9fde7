/**
 * What is known of a sensor at an instant: its settings, its calibrations, the models in force.
 *
 * Each fact counts from its `valid_from`, compared with the instant NATS stored a message, so that every service, and
 * every later reading of the log, meets the same facts. The writer sets `valid_from` ahead (`FACT_LEAD_MS`) and answers
 * once it has passed. So a look shows all that will count for a while after it, and one in a while is enough, however
 * many batches come:
 *
 *   written ──COMMIT_MS──▶ seen by every look from here on ──LOOK_HOLDS_MS──▶ counts
 */
import type { Pool } from "pg";
import type { CalibrationMethod, CalibrationParams } from "./calibration.ts";
import type { ModelType } from "./model.ts";
import type { SensorBody } from "./sensor.ts";

/** A fact's transaction has this long to commit. */
const COMMIT_MS = 50;
/** What was stored until so long after a look is decided by it. */
const LOOK_HOLDS_MS = 100;
/** From here on the next look is begun while this one still holds, so that nobody waits for it. */
const LOOK_AHEAD_MS = 50;
export const FACT_LEAD_MS = COMMIT_MS + LOOK_HOLDS_MS;
/** A look goes back this far beyond the last one, for transactions that committed late. */
const OVERLAP_MS = 10_000;
const SENSORS_MAX = 50_000;

export interface CalibrationFact {
  id: number;
  method: CalibrationMethod;
  params: CalibrationParams | null;
  correctedValue: number;
  appliedAtMs: number;
  validFromMs: number;
}

interface Promotion {
  validFromMs: number;
  modelId: number;
  version: number;
}

interface KnownSensor {
  sensorId: number;
  site: string;
  key: string;
  versions: { validFromMs: number; deleted: boolean; body: SensorBody }[];
  /** By `appliedAtMs`. */
  calibrations: CalibrationFact[];
  promotions: Record<ModelType, Promotion[]>;
  /** As it stands from an instant on, by all that is known; null: to be put together anew. */
  settled: { fromMs: number; sensor: SensorAt | null } | null;
}

/** A sensor as it stood when a message was stored. */
export interface SensorAt {
  sensorId: number;
  site: string;
  key: string;
  body: SensorBody;
  /** Those valid by then, by `appliedAtMs`. */
  calibrations: readonly CalibrationFact[];
  /** The model of that type in force by then. */
  model(type: ModelType): { modelId: number; version: number } | null;
}

export interface Facts {
  /** Looks up what is not known yet of these sensors, and what is new by `storedMs`. */
  refresh(names: Iterable<{ site: string; key: string }>, storedMs: number): Promise<void>;
  /** The sensor as it stood, or null where there was none. Call `refresh` first. */
  at(site: string, key: string, storedMs: number): SensorAt | null;
}

interface FactRow {
  /** Null in the row that stands for nothing new. */
  kind: "version" | "calibration" | "promotion" | null;
  sensor_id: number;
  valid_from: Date;
  site: string | null;
  key: string | null;
  body: never;
}

const FACTS_OF = `
  select 'version' kind, sensor_id, valid_from, site, key, jsonb_build_object('deleted', deleted, 'body', body) body
    from sensor_versions where SENSORS
  union all
  select 'calibration', sensor_id, valid_from, null, null, jsonb_build_object('id', id, 'method', method, 'params', params,
    'correctedValue', corrected_value, 'appliedAtMs', extract(epoch from applied_at) * 1000)
    from calibrations where SENSORS
  union all
  select 'promotion', sensor_id, valid_from, null, null,
    jsonb_build_object('type', model_type, 'modelId', model_id, 'version', version)
    from model_promotions where SENSORS
  order by valid_from`;

const CHANGED = `
  select statement_timestamp() as now, f.* from (select 1) as always
    left join (${FACTS_OF.replaceAll("SENSORS", "valid_from > $1")}) as f on true`;
const ALL_OF_SENSORS = FACTS_OF.replaceAll("SENSORS", "sensor_id = any($1::int[])");

export function createFacts(pool: Pick<Pool, "query">): Facts {
  const sensors = new Map<number, KnownSensor>();
  const byName = new Map<string, number[]>();
  let lookedAtMs = 0;
  let looking: Promise<void> | null = null;

  const keep = (rows: readonly FactRow[]) => {
    for (const row of rows) {
      const known = sensors.get(row.sensor_id);
      if (known !== undefined) addFact(known, row);
    }
  };

  const used = (name: { site: string; key: string }) => {
    for (const sensorId of byName.get(nameOf(name)) ?? []) {
      const known = sensors.get(sensorId);
      if (known === undefined) continue;
      sensors.delete(sensorId);
      sensors.set(sensorId, known);
    }
  };

  /** The statement's own time is taken before its snapshot: what was committed by then is seen. */
  const look = async () => {
    const since = new Date(lookedAtMs - OVERLAP_MS);
    const found = await pool.query<FactRow & { now: Date }>({ name: "facts-changed", text: CHANGED, values: [since] });
    keep(found.rows.filter((row) => row.kind !== null));
    lookedAtMs = found.rows[0]!.now.getTime();
  };

  const begin = () => (looking ??= look().finally(() => (looking = null)));
  const covers = (storedMs: number) => storedMs < lookedAtMs + LOOK_HOLDS_MS;

  const lookUp = async (names: readonly { site: string; key: string }[]) => {
    const found = await pool.query<{ sensor_id: number; site: string; key: string }>(
      `select distinct sensor_id, site, key from sensor_versions
        where (site, key) in (select * from unnest($1::text[], $2::text[]))`,
      [names.map((name) => name.site), names.map((name) => name.key)],
    );
    if (found.rows.length === 0) return;
    for (const { sensor_id: sensorId } of found.rows) sensors.delete(sensorId);
    // The one used last is the last to go: what another partition has just looked up stays.
    for (const [oldest, { site, key }] of sensors) {
      if (sensors.size + found.rows.length <= SENSORS_MAX) break;
      sensors.delete(oldest);
      byName.delete(nameOf({ site, key }));
    }
    for (const { sensor_id: sensorId, site, key } of found.rows) {
      sensors.set(sensorId, {
        sensorId,
        site,
        key,
        versions: [],
        calibrations: [],
        promotions: { anomaly: [], drift: [], calibration: [] },
        settled: null,
      });
      const name = nameOf({ site, key });
      byName.set(name, [...new Set([...(byName.get(name) ?? []), sensorId])]);
    }
    const ids = found.rows.map((row) => row.sensor_id);
    try {
      keep((await pool.query<FactRow>(ALL_OF_SENSORS, [ids])).rows);
    } catch (error) {
      // A look may have brought what is new of them; without the rest that would be taken for all there is.
      for (const id of ids) sensors.delete(id);
      throw error;
    }
  };

  return {
    async refresh(names, storedMs) {
      // The look that is under way may have begun too long before the message was stored; the next one covers it, whoever begins it.
      if (!covers(storedMs) && looking !== null) await looking;
      if (!covers(storedMs)) await begin();
      else if (storedMs >= lookedAtMs + LOOK_AHEAD_MS) begin().catch(() => undefined);
      const unknown = new Map<string, { site: string; key: string }>();
      for (const name of names) {
        // A name made anew after its sensor was deleted is another sensor: a known name is looked up again when it is gone.
        if (at(name.site, name.key, storedMs) === null) unknown.set(nameOf(name), name);
        else used(name);
      }
      if (unknown.size > 0) await lookUp([...unknown.values()]);
    },
    at,
  };

  function at(site: string, key: string, storedMs: number): SensorAt | null {
    for (const sensorId of byName.get(nameOf({ site, key })) ?? []) {
      const known = sensors.get(sensorId);
      if (known === undefined) continue;
      // Nearly every message is younger than all the facts.
      known.settled ??= settle(known);
      const { fromMs, sensor } = known.settled;
      const found = storedMs >= fromMs ? sensor : sensorAt(known, storedMs);
      if (found !== null) return found;
    }
    return null;
  }
}

function settle(known: KnownSensor): { fromMs: number; sensor: SensorAt | null } {
  const facts = [known.versions, known.calibrations, ...Object.values(known.promotions)].flat();
  const fromMs = facts.reduce((latest, { validFromMs }) => Math.max(latest, validFromMs), -Infinity);
  return { fromMs, sensor: sensorAt(known, Infinity) };
}

function sensorAt(known: KnownSensor, storedMs: number): SensorAt | null {
  const { sensorId, site, key, calibrations, promotions } = known;
  const version = known.versions.findLast((candidate) => candidate.validFromMs <= storedMs);
  if (version === undefined || version.deleted) return null;
  return {
    sensorId,
    site,
    key,
    body: version.body,
    calibrations: calibrations.filter((one) => one.validFromMs <= storedMs),
    model: (type) => promotions[type].findLast((promotion) => promotion.validFromMs <= storedMs) ?? null,
  };
}

const nameOf = ({ site, key }: { site: string; key: string }): string => `${site}.${key}`;

function addFact(known: KnownSensor, row: FactRow): void {
  known.settled = null;
  const validFromMs = row.valid_from.getTime();
  if (row.kind === "version") {
    const { deleted, body } = row.body as { deleted: boolean; body: SensorBody };
    if (known.versions.some((version) => version.validFromMs === validFromMs)) return;
    known.versions.push({ validFromMs, deleted, body });
    known.versions.sort((a, b) => a.validFromMs - b.validFromMs);
  } else if (row.kind === "calibration") {
    const body = row.body as Omit<CalibrationFact, "validFromMs">;
    if (known.calibrations.some((calibration) => calibration.id === body.id)) return;
    known.calibrations.push({ ...body, appliedAtMs: Math.round(body.appliedAtMs), validFromMs });
    known.calibrations.sort((a, b) => a.appliedAtMs - b.appliedAtMs || a.id - b.id);
  } else {
    const { type, modelId, version } = row.body as { type: ModelType; modelId: number; version: number };
    const promotions = known.promotions[type];
    if (promotions.some((promotion) => promotion.validFromMs === validFromMs)) return;
    promotions.push({ validFromMs, modelId, version });
    promotions.sort((a, b) => a.validFromMs - b.validFromMs);
  }
}
