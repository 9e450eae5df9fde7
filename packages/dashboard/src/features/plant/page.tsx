/** The plant: every sensor, those that need somebody first. */
import { byAttention, countStatuses, isSought } from "@calibration/shared/attention.ts";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import {
  useDeferredValue,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from "react";
import type { Anomaly, Attention } from "../../api.ts";
import { formatCount, formatDrift, formatValue } from "../../format.ts";
import { Button, Search, Select } from "../../parts/controls.tsx";
import { PageHead } from "../../parts/page-head.tsx";
import { searchOf } from "../../parts/sensor-link.tsx";
import { Answered, Empty, Loading } from "../../parts/states.tsx";
import { Status, statusWord } from "../../parts/status.tsx";
import { Age } from "../../parts/time.tsx";
import { attentionQuery, openAlarmsQuery, sensorsQuery, type ListedSensor, type SensorList } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { typeWord } from "../anomalies/words.ts";
import { DRIFT_WARNING } from "../calibrations/verdict.ts";
import { worstBySensor } from "./worst.ts";
import { FirstReading } from "./first-reading.tsx";
import { NewSensor } from "./new-sensor.tsx";
import "./plant.css";
import type { PlantSearch } from "./search.ts";
import { Sparkline } from "./sparkline.tsx";

const ROW_PX = 56;
const NARROW_ROW_PX = 120;
const HEAD_PX = 56;
const NARROW = "(max-width: 760px)";
const STATUSES = ["critical", "warning", "offline", "online"] as const;
const ANY = "any";

export function PlantPage() {
  const search = useSearch({ from: "/" });
  const plant = useSensors(search);
  const may = useMay();
  const [isAdding, setAdding] = useState(false);
  const isEmpty = plant.data !== undefined && plant.data.isWhole && plant.data.all.length === 0;
  return (
    <>
      <PageHead title="Plant">
        <div className="page-acts">
          {plant.data?.isWhole === false && (
            <span className="quiet">
              <span className="wide-only">Loading sensors: </span>
              {formatCount(plant.data.all.length)} of {formatCount(plant.data.count)}
            </span>
          )}
          {may.administer && <Button onPress={() => setAdding(true)}>Add a sensor</Button>}
        </div>
      </PageHead>
      <InCard when={plant.data === undefined || isEmpty}>
        <Answered what="the sensors" query={plant}>
          {(data) => (isEmpty ? <FirstReading onAdd={() => setAdding(true)} /> : <Sensors {...data} search={search} />)}
        </Answered>
      </InCard>
      {isAdding && <NewSensor onClose={() => setAdding(false)} />}
    </>
  );
}

/** What is no list stands on a card of its own. */
const InCard = ({ when, children }: { when: boolean; children: ReactNode }) =>
  when ? <div className="card">{children}</div> : children;

interface Plant extends SensorList {
  /** Of all that are looked for, while not all of them have come; null once they have. */
  attention: Pick<Attention, "count" | "by_status"> | null;
}

/** All sensors; while they come, those that have come and those that need somebody most, which are asked for at once. */
function useSensors(search: PlantSearch) {
  const list = useQuery(sensorsQuery);
  const isWhole = list.data?.isWhole === true;
  const attention = useQuery({ ...attentionQuery(search), enabled: !isWhole, placeholderData: (before) => before });
  const data = useMemo((): Plant | undefined => {
    if (list.data?.isWhole === true) return { ...list.data, attention: null };
    const first = attention.data;
    // The first page would be the first rows for a moment, and they hardly ever are.
    if (first === undefined && !(attention.isError && list.data !== undefined)) return undefined;
    const known = new Map<number, ListedSensor>(first?.results.map((sensor) => [sensor.id, sensor]));
    for (const sensor of list.data?.all ?? []) known.set(sensor.id, sensor);
    const all = [...known.values()];
    return { all, count: Math.max(list.data?.count ?? 0, all.length), isWhole: false, attention: first ?? null };
  }, [list.data, attention.data, attention.isError]);
  return {
    data,
    isPending: list.isPending || (data === undefined && !list.isError),
    error: list.error,
    refetch: list.refetch,
  };
}

function Sensors({ all, isWhole, attention, search }: Plant & { search: PlantSearch }) {
  const navigate = useNavigate({ from: "/" });
  const change = (part: PlantSearch) =>
    void navigate({ search: (before) => cleaned({ ...before, ...part }), replace: true });
  const sought = useDeferredValue(search);
  const { shown, found, choices } = useMemo(() => {
    const { status: _, ...rest } = sought;
    const some = all.filter((sensor) => isSought(sensor, rest));
    return {
      found: countStatuses(some),
      shown: some.filter((sensor) => isSought(sensor, sought)).toSorted(byAttention),
      choices: [
        { name: "site", options: optionsOf("All sites", all, ({ site }) => site, sought.site) },
        { name: "type", options: optionsOf("All types", all, ({ type }) => type, sought.type) },
      ] as const,
    };
  }, [all, sought]);
  const counts: Readonly<Record<string, number>> = attention?.by_status ?? found;
  return (
    <>
      <div className="plant-tools">
        <div className="statuses" role="group" aria-label="Filter by status">
          {STATUSES.map((status) => (
            <button
              key={status}
              type="button"
              className={`status-filter ${counts[status] === 0 ? "is-none" : `is-${status}`}`}
              aria-pressed={search.status === status}
              onClick={() => change({ status: search.status === status ? "" : status })}
            >
              <strong>{formatCount(counts[status])}</strong> {statusWord(status)}
            </button>
          ))}
        </div>
        <div className="plant-filters">
          <Search label="Search name, id, key or site" value={search.q ?? ""} onChange={(q) => change({ q })} />
          {choices.map(
            ({ name, options }) =>
              // The first says "all": one more is no choice.
              options.length > 2 && (
                <Select
                  key={name}
                  label={name === "site" ? "Site" : "Type"}
                  hidesLabel
                  options={options}
                  value={search[name] ?? ANY}
                  onChange={(value) => change({ [name]: value === ANY ? "" : value })}
                />
              ),
          )}
        </div>
      </div>
      {shown.length === 0 && !isWhole ? (
        <div className="card">
          <Loading what="the sensors" />
        </div>
      ) : shown.length === 0 ? (
        <div className="card">
          <Empty title="No sensor is like that">
            <p>All {formatCount(all.length)} sensors are hidden by the search and the filters.</p>
            <Button onPress={() => change({ q: "", site: "", type: "", status: "" })}>Show all sensors</Button>
          </Empty>
        </div>
      ) : (
        <SensorTable
          sensors={shown}
          count={Math.max(shown.length, attention?.count ?? 0)}
          sought={JSON.stringify(sought)}
        />
      )}
    </>
  );
}

function cleaned(search: PlantSearch): PlantSearch {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== ""));
}

/** Whatever there is, and what is chosen: its sensors may be still to come. */
function optionsOf(
  any: string,
  all: readonly ListedSensor[],
  of: (sensor: ListedSensor) => string,
  chosen: string | undefined,
) {
  const there = new Set(all.map((sensor) => of(sensor)));
  if (chosen !== undefined) there.add(chosen);
  const values = [...there].toSorted();
  return [{ id: ANY, label: any }, ...values.map((value) => ({ id: value, label: value }))];
}

function useIsNarrow(): boolean {
  const media = matchMedia(NARROW);
  return useSyncExternalStore(
    (listener) => {
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => media.matches,
  );
}

/** Rows in sight only: ten thousand sensors are as quick as ten. */
function SensorTable({
  sensors,
  count,
  sought,
}: {
  sensors: readonly ListedSensor[];
  /** How many there are of these, with those that are still to come. */
  count: number;
  /** What they were looked for by: by something else they are other rows. */
  sought: string;
}) {
  const body = useRef<HTMLDivElement>(null);
  const worst = useQuery({ ...openAlarmsQuery, select: worstBySensor }).data;
  const isNarrow = useIsNarrow();
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY), []);
  const rowPx = isNarrow ? NARROW_ROW_PX : ROW_PX;
  const rows = useWindowVirtualizer({
    count: sensors.length,
    estimateSize: () => rowPx,
    overscan: 12,
    scrollMargin: top,
    getItemKey: (index) => sensors[index]!.id,
  });
  useLayoutEffect(() => rows.measure(), [rows, rowPx]);
  useRowsHeld(sensors, sought, top, rowPx);
  return (
    <div className="card sensors" role="table" aria-label="Sensors" aria-rowcount={count + 1}>
      <div role="rowgroup" className="sensors-head">
        <div role="row" aria-rowindex={1} className="sensor-row">
          <span role="columnheader">Status</span>
          <span role="columnheader">Sensor</span>
          <span role="columnheader" className="number">
            Value
          </span>
          <span role="columnheader">Last 24 hours</span>
          <span role="columnheader" className="number">
            Drift
          </span>
          <span role="columnheader">Open alarms</span>
          <span role="columnheader" className="number">
            Last reading
          </span>
        </div>
      </div>
      <div role="rowgroup" className="sensors-body" ref={body} style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map(({ index, key, start }) => (
          <SensorRow
            key={key}
            sensor={sensors[index]!}
            alarm={worst?.get(sensors[index]!.id)}
            index={index}
            top={start - top}
          />
        ))}
      </div>
    </div>
  );
}

/** Rows that come above those that somebody has scrolled to do not push them away. */
function useRowsHeld(sensors: readonly ListedSensor[], sought: string, top: number, rowPx: number): void {
  const before = useRef({ sensors, sought });
  useLayoutEffect(() => {
    const { sensors: known, sought: by } = before.current;
    before.current = { sensors, sought };
    if (known === sensors || by !== sought) return;
    // The frame's head lies over what is scrolled under it.
    const first = Math.ceil((window.scrollY + HEAD_PX - top) / rowPx);
    const held = known[first];
    if (first <= 0 || held === undefined) return;
    const now = sensors.findIndex(({ id }) => id === held.id);
    if (now !== -1 && now !== first) window.scrollBy({ top: (now - first) * rowPx, behavior: "instant" });
  }, [sensors, sought, top, rowPx]);
}

function SensorRow({
  sensor,
  alarm,
  index,
  top,
}: {
  sensor: ListedSensor;
  /** Its worst open alarm, where that is known. */
  alarm: Anomaly | undefined;
  index: number;
  top: number;
}) {
  const { id, name, key, site, type, unit, value, drift, status } = sensor;
  const flags = sensor.open_anomalies - sensor.open_alarms;
  const drifts = drift !== null && Math.abs(drift) >= DRIFT_WARNING;
  return (
    <div role="row" aria-rowindex={index + 2} className="sensor-row" style={{ transform: `translateY(${top}px)` }}>
      <span role="cell" className="cell-status">
        <Status status={status} />
      </span>
      <span role="cell" className="cell-name">
        <Link to="/sensors/$sensorId" params={{ sensorId: String(id) }} search={searchOf(alarm)}>
          {name}
        </Link>
        <span className="quiet">
          {type} · {site} · {key}
        </span>
      </span>
      <span role="cell" className="number cell-value">
        {formatValue(value)}
        <span className="unit quiet">{value === null ? "" : unit}</span>
      </span>
      <span role="cell" className="cell-line">
        <Sparkline sensorId={id} unit={unit} />
      </span>
      <span role="cell" className={`number cell-drift ${drifts ? "drifts" : ""}`}>
        <span className="narrow-label quiet">drift </span>
        {formatDrift(drift)}
      </span>
      <span role="cell" className="cell-open">
        {sensor.open_alarms > 0 && (
          <span className="count">
            {formatCount(sensor.open_alarms)}
            <span className="visually-hidden"> open {sensor.open_alarms === 1 ? "alarm" : "alarms"}</span>
          </span>
        )}
        {alarm !== undefined && sensor.open_alarms > 0 && <span className="why">{typeWord(alarm)}</span>}
        {flags > 0 && (
          <span className="quiet flags">
            {flags} {flags === 1 ? "flag" : "flags"}
          </span>
        )}
        {sensor.open_anomalies === 0 && <span className="quiet none">none</span>}
      </span>
      <span role="cell" className="number cell-age quiet">
        <Age at={sensor.last_updated} />
      </span>
    </div>
  );
}
