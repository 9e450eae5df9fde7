/** One sensor: what it measured and what that was corrected to, what was strange, where it is going, and what it is judged by. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { ApiError, type Anomaly, type Sensor } from "../../api.ts";
import { followSensor } from "../../live.ts";
import { Card } from "../../parts/card.tsx";
import { Checkbox } from "../../parts/controls.tsx";
import { PageHead } from "../../parts/page-head.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Status } from "../../parts/status.tsx";
import { useNow } from "../../parts/time.tsx";
import { anomaliesQuery, calibrationsQuery, openAlarmsQuery, sensorQuery } from "../../queries.ts";
import { AnomalyList } from "./anomaly-list.tsx";
import { worstOf } from "../plant/worst.ts";
import { Headline } from "./headline.tsx";
import { CalibrationsRecorded, ModelsInUse } from "./in-use.tsx";
import { Needed } from "./needed.tsx";
import { HOUR_MS, isWithin, rangeAround, rangeOf, type Range, type RangeSearch } from "./range.ts";
import { Readings } from "./readings.tsx";
import "./sensor.css";
import { SensorSettings } from "./settings.tsx";

const ANOMALIES_SHOWN = 200;
const MINUTE_MS = 60_000;
const NEW_READING_MS = 2_000;
const NO_ANOMALIES: readonly Anomaly[] = [];

export function SensorPage() {
  const { sensorId } = useParams({ from: "/sensors/$sensorId" });
  const id = Number(sensorId);
  const sensor = useQuery(sensorQuery(id));
  if (sensor.data !== undefined)
    return <OneSensor key={id} sensor={sensor.data} refresh={() => void sensor.refetch()} />;
  const isUnknown = sensor.error instanceof ApiError && sensor.error.status === 404;
  return (
    <div className="card">
      {isUnknown ? (
        <Empty title={`There is no sensor ${sensorId}`}>
          <Link to="/">To the plant</Link>
        </Empty>
      ) : (
        <Answered what="the sensor" query={sensor}>
          {() => null}
        </Answered>
      )}
    </div>
  );
}

function OneSensor({ sensor, refresh }: { sensor: Sensor; refresh: () => void }) {
  const search = useSearch({ from: "/sensors/$sensorId" });
  const navigate = useNavigate({ from: "/sensors/$sensorId" });
  const [withFlags, setWithFlags] = useState(false);
  const list = useRef<HTMLDivElement>(null);
  const now = useNow(15_000);
  const range = useMemo(() => rangeOf(search, now), [search, now]);
  const change = (to: RangeSearch) => void navigate({ search: to, replace: true, resetScroll: false });
  const chosen = search.anomaly === undefined ? {} : { anomaly: search.anomaly };
  useFollowed(sensor.id, refresh);

  const inPeriod = useQuery({
    ...anomaliesQuery({
      sensor_id: sensor.id,
      ...(withFlags ? {} : { alarm: true }),
      // Rounded, so that what follows now is not asked for anew every few seconds; events tell of what is new.
      from: new Date(Math.floor(range.fromMs / MINUTE_MS) * MINUTE_MS).toISOString(),
      to: new Date(Math.ceil(range.toMs / HOUR_MS) * HOUR_MS).toISOString(),
      limit: ANOMALIES_SHOWN,
    }),
    // The list stays while somebody moves in time, and with it what has the focus in it.
    placeholderData: (before) => before,
  });
  const all = useQuery(openAlarmsQuery).data;
  const open = useMemo(
    () => all?.results.filter((one) => one.sensor_id === sensor.id) ?? NO_ANOMALIES,
    [all, sensor.id],
  );
  const worst = useMemo(() => worstOf(open), [open]);
  const shown = useMemo(() => joined(inPeriod.data?.results ?? NO_ANOMALIES, open), [inPeriod.data, open]);
  const calibrations = useQuery(calibrationsQuery(sensor.id));
  const select = (anomaly: Anomaly | undefined) => {
    const { anomaly: _, ...rest } = search;
    if (anomaly === undefined) change(rest);
    // One that began before what is shown is gone to.
    else
      change({ ...(isWithin(range, anomaly.timestamp) ? rest : rangeAround(anomaly.timestamp)), anomaly: anomaly.id });
  };
  const showChosen = () => {
    const chosenOne = list.current?.querySelector<HTMLElement>("[aria-expanded=true]");
    chosenOne?.focus({ preventScroll: true });
    chosenOne?.scrollIntoView({ block: "start" });
  };
  return (
    <>
      <div className="sensor-head">
        <nav aria-label="Back">
          <Link to="/">Plant</Link> <span className="quiet">/ {sensor.site}</span>
        </nav>
        <PageHead title={sensor.name}>
          <Status status={sensor.status} />
        </PageHead>
      </div>
      {worst !== undefined && (
        <Needed
          alarm={worst}
          others={open.length - 1}
          onMore={() => {
            if (search.anomaly !== worst.id) select(worst);
            // It is there once it has been chosen.
            requestAnimationFrame(showChosen);
          }}
        />
      )}
      <Headline sensor={sensor} isCalibrated={(calibrations.data?.count ?? 0) > 0} />
      <Readings
        sensor={sensor}
        range={range}
        nowMs={now}
        span={search.span}
        anomalies={shown}
        withFlags={withFlags}
        calibrations={calibrations.data?.results}
        selected={search.anomaly ?? null}
        onSpan={(span) => change({ span, ...chosen })}
        onRange={({ fromMs, toMs }: Range) => change({ from: fromMs, to: toMs, ...chosen })}
        onSelect={select}
        onEnter={showChosen}
      />
      <div className="sensor-columns">
        <div ref={list}>
          <Card
            title="Anomalies: open, and in this period"
            actions={
              <span className="page-acts">
                <Checkbox isSelected={withFlags} onChange={setWithFlags}>
                  Show the forest’s flags too
                </Checkbox>
                <Link to="/anomalies" search={{ sensor: sensor.id, state: "all" }}>
                  Of all time
                </Link>
              </span>
            }
          >
            <Answered what="the anomalies" query={inPeriod}>
              {() =>
                shown.length === 0 ? (
                  <Empty title="Nothing strange here">
                    <p>
                      {withFlags
                        ? "Neither alarms nor flags in this period."
                        : "No alarms in this period. Show more time, or the forest’s flags."}
                    </p>
                  </Empty>
                ) : (
                  <AnomalyList
                    anomalies={shown}
                    unit={sensor.unit}
                    selected={search.anomaly ?? null}
                    onSelect={select}
                  />
                )
              }
            </Answered>
          </Card>
        </div>
        <div className="sensor-side">
          <ModelsInUse sensor={sensor} />
          <CalibrationsRecorded calibrations={calibrations} sensor={sensor} />
          <SensorSettings sensor={sensor} />
        </div>
      </div>
    </>
  );
}

/** Newest first, each once. */
const joined = (inPeriod: readonly Anomaly[], open: readonly Anomaly[]): readonly Anomaly[] => {
  const known = new Set(inPeriod.map(({ id }) => id));
  return [...inPeriod, ...open.filter(({ id }) => !known.has(id))].toSorted(
    (a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp) || b.id - a.id,
  );
};

/** Asks anew when readings come, however many, every few seconds. */
function useFollowed(sensorId: number, refresh: () => void): void {
  const latest = useRef(refresh);
  latest.current = refresh;
  useEffect(() => {
    let due: ReturnType<typeof setTimeout> | undefined;
    const stop = followSensor(sensorId, () => {
      due ??= setTimeout(() => {
        due = undefined;
        latest.current();
      }, NEW_READING_MS);
    });
    return () => {
      clearTimeout(due);
      stop();
    };
  }, [sensorId]);
}
