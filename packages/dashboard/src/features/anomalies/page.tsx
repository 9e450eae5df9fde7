/** The anomalies: alarms that are open first of all, the rest one click away; new ones arrive while one looks. */
import { ANOMALY_TYPES, SEVERITIES } from "@calibration/shared/anomaly.ts";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { ask, query, type Anomaly, type Page } from "../../api.ts";
import { formatValue } from "../../format.ts";
import { Button, Checkbox, Segments, Select } from "../../parts/controls.tsx";
import { Pager } from "../../parts/pager.tsx";
import { SensorLink } from "../../parts/sensor-link.tsx";
import { PageHead } from "../../parts/page-head.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Time, useNow } from "../../parts/time.tsx";
import { keys, useSensorsById, type ListedSensor } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import "./anomalies.css";
import { Explanation } from "./explanation.tsx";
import { Resolve } from "./resolve.tsx";
import { filterOf, type AnomalySearch } from "./search.ts";
import { Severity } from "./severity.tsx";
import { METHOD_WORDS, typeWord } from "./words.ts";

const PAGE = 100;
const ANY = "any";
/** Scrolled no further than this, somebody looks at the top and sees it move. */
const AT_TOP_PX = 80;
const STATES = [
  { id: "open", label: "Open" },
  { id: "resolved", label: "Resolved" },
  { id: "all", label: "All" },
];
const KINDS = [
  { id: "alarms", label: "Alarms" },
  { id: "flags", label: "Alarms and flags" },
];
const AGES = [
  { id: ANY, label: "Any age" },
  { id: "24", label: "Last 24 hours" },
  { id: "168", label: "Last 7 days" },
  { id: "720", label: "Last 30 days" },
];
const options = (any: string, values: readonly string[]) => [
  { id: ANY, label: any },
  ...values.map((id) => ({ id, label: id })),
];

const CHOICES = [
  { name: "severity", label: "Severity", options: options("Any severity", SEVERITIES) },
  { name: "type", label: "Type", options: options("Any type", ANOMALY_TYPES) },
  { name: "hours", label: "Age", options: AGES },
] as const;

export function AnomaliesPage() {
  const search = useSearch({ from: "/anomalies" });
  const navigate = useNavigate({ from: "/anomalies" });
  const sensors = useSensorsById();
  const change = (part: { [K in keyof AnomalySearch]: AnomalySearch[K] | undefined }) =>
    void navigate({
      search: (before) =>
        Object.fromEntries(Object.entries({ ...before, ...part }).filter(([, value]) => value !== undefined)),
      replace: true,
    });
  return (
    <>
      <PageHead title="Anomalies" />
      <div className="anomaly-filters" role="group" aria-label="Filters">
        <Segments
          label="Kind"
          options={KINDS}
          value={search.flags === true ? "flags" : "alarms"}
          onChange={(kind) => change({ flags: kind === "flags" ? true : undefined })}
        />
        <Segments
          label="State"
          options={STATES}
          value={search.state ?? "open"}
          onChange={(state) => change({ state: state === "open" ? undefined : (state as "resolved" | "all") })}
        />
        {CHOICES.map(({ name, label, options }) => (
          <Select
            key={name}
            label={label}
            hidesLabel
            options={options}
            value={search[name] === undefined ? ANY : String(search[name])}
            onChange={(value) =>
              change({ [name]: value === ANY ? undefined : name === "hours" ? Number(value) : value })
            }
          />
        ))}
        {search.sensor !== undefined && (
          <Button onPress={() => change({ sensor: undefined })}>
            {sensors.get(search.sensor)?.name ?? `Sensor ${search.sensor}`} only ✕
          </Button>
        )}
      </div>
      <List key={JSON.stringify(search)} search={search} />
    </>
  );
}

function List({ search }: { search: AnomalySearch }) {
  const now = useNow(3_600_000);
  const filter = filterOf(search, now);
  const anomalies = useInfiniteQuery({
    queryKey: [...keys.anomalies, "list", filter],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Anomaly>>(`/api/anomalies/${query({ limit: PAGE, ...filter, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
  });
  const all = useMemo(() => anomalies.data?.pages.flatMap(({ results }) => results) ?? [], [anomalies.data]);
  const { shown, waiting, showWaiting } = useWithoutJumps(all);
  return (
    <div className="card">
      <Answered what="the anomalies" query={anomalies}>
        {() =>
          all.length === 0 ? (
            <NoneFound search={search} />
          ) : (
            <>
              {waiting > 0 && (
                <Button className="arrived" onPress={showWaiting}>
                  {waiting === 1 ? "1 new anomaly" : `${waiting} new anomalies`}: show
                </Button>
              )}
              <Rows anomalies={shown} />
              <Pager list={anomalies}>Show earlier ones</Pager>
            </>
          )
        }
      </Answered>
    </div>
  );
}

function NoneFound({ search }: { search: AnomalySearch }) {
  const isDefault = Object.keys(search).length === 0;
  return (
    <Empty title={isDefault ? "No open alarms" : "Nothing of this kind"}>
      <p>
        {isDefault
          ? "Nothing needs you. Flags of the forest, which are no alarms, are under “Alarms and flags”; what is over is under “Resolved”."
          : "No anomaly is like this: choose another kind, state, severity, type or age."}
      </p>
    </Empty>
  );
}

/**
 * New rows come in above what somebody is reading only where they look at the top; else they wait behind a button. What
 * is shown already changes in its place.
 */
function useWithoutJumps(all: readonly Anomaly[]): { shown: Anomaly[]; waiting: number; showWaiting: () => void } {
  const [oldestNewMs, setOldestNewMs] = useState<number | null>(null);
  const newest = all[0] === undefined ? 0 : Date.parse(all[0].timestamp);
  const seen = useRef(0);
  useEffect(() => {
    if (newest <= seen.current) return;
    const holdsBack = seen.current > 0 && window.scrollY > AT_TOP_PX;
    if (!holdsBack) seen.current = newest;
    setOldestNewMs(holdsBack ? seen.current : null);
  }, [newest]);
  const isShown = ({ timestamp }: Anomaly) => oldestNewMs === null || Date.parse(timestamp) <= oldestNewMs;
  const shown = all.filter(isShown);
  return {
    shown,
    waiting: all.length - shown.length,
    showWaiting() {
      seen.current = newest;
      setOldestNewMs(null);
      window.scrollTo({ top: 0 });
    },
  };
}

function Rows({ anomalies }: { anomalies: readonly Anomaly[] }) {
  const may = useMay();
  const byId = useSensorsById();
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const [open, setOpen] = useState<number | null>(null);
  const [resolving, setResolving] = useState<readonly number[] | null>(null);
  const choosable = may.operate ? anomalies.filter(({ resolved }) => !resolved) : [];
  // What has been resolved in the meantime is chosen no more.
  const ids = choosable.filter(({ id }) => chosen.has(id)).map(({ id }) => id);
  const toggle = (id: number) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return (
    <>
      {choosable.length > 0 && (
        <div className="card-head">
          <Checkbox
            isSelected={ids.length === choosable.length}
            isIndeterminate={ids.length > 0 && ids.length < choosable.length}
            onChange={(isSelected) => setChosen(new Set(isSelected ? choosable.map(({ id }) => id) : []))}
          >
            {ids.length === 0 ? "Choose all" : `${ids.length} chosen`}
          </Checkbox>
          <Button kind="primary" isDisabled={ids.length === 0} onPress={() => setResolving(ids)}>
            Resolve…
          </Button>
        </div>
      )}
      <ul className="anomaly-list" aria-label="Anomalies">
        {anomalies.map((anomaly) => (
          <Row
            key={anomaly.id}
            anomaly={anomaly}
            sensor={byId.get(anomaly.sensor_id)}
            isOpen={open === anomaly.id}
            onOpen={() => setOpen(open === anomaly.id ? null : anomaly.id)}
            {...(may.operate && !anomaly.resolved
              ? {
                  isChosen: chosen.has(anomaly.id),
                  onChoose: () => toggle(anomaly.id),
                  onResolve: () => setResolving([anomaly.id]),
                }
              : {})}
          />
        ))}
      </ul>
      {resolving !== null && (
        <Resolve ids={resolving} onClose={() => setResolving(null)} onDone={() => setChosen(new Set())} />
      )}
    </>
  );
}

interface RowProps {
  anomaly: Anomaly;
  sensor: ListedSensor | undefined;
  isOpen: boolean;
  onOpen: () => void;
  isChosen?: boolean;
  onChoose?: () => void;
  onResolve?: () => void;
}

function Row({ anomaly, sensor, isOpen, onOpen, isChosen, onChoose, onResolve }: RowProps) {
  const name = sensor?.name ?? `Sensor ${anomaly.sensor_id}`;
  const unit = sensor?.unit ?? "";
  const type = typeWord(anomaly);
  return (
    <li className="anomaly">
      <div className="anomaly-line">
        <span className="select">
          {onChoose === undefined ? (
            <span className="no-box" />
          ) : (
            <Checkbox aria-label={`Choose ${type} of ${name}`} isSelected={isChosen === true} onChange={onChoose} />
          )}
        </span>
        <span className="severity">
          <Severity severity={anomaly.severity} />
        </span>
        <span className="what">
          <strong>{type}</strong>
          <span className="quiet">{anomaly.alarm ? "" : " flag"}</span>
        </span>
        <span className="where">
          <SensorLink id={anomaly.sensor_id} anomaly={anomaly} /> <span className="quiet">{sensor?.site}</span>
        </span>
        <span className="figures">
          {anomaly.value === null ? (
            <span className="quiet">{METHOD_WORDS[anomaly.method]}</span>
          ) : (
            <>
              {formatValue(anomaly.value)} {unit}
              {anomaly.expected !== null && <span className="quiet">, usual {formatValue(anomaly.expected)}</span>}
            </>
          )}
        </span>
        <span className="when quiet number">
          <Time at={anomaly.timestamp} />
        </span>
        <span className="do">
          <Button kind="plain" aria-expanded={isOpen} onPress={onOpen}>
            {isOpen ? "Less" : "Why?"}
            <span className="visually-hidden">
              {" "}
              {type} of {name}
            </span>
          </Button>
        </span>
      </div>
      {isOpen && (
        <div className="anomaly-more">
          <Explanation anomaly={anomaly} unit={unit} />
          {onResolve !== undefined && (
            <div className="anomaly-act">
              <Button onPress={onResolve}>Resolve…</Button>
            </div>
          )}
        </div>
      )}
    </li>
  );
}
