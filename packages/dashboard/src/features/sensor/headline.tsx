/** What one wants to know of a sensor first. */
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ask, query, type Page, type Reading, type Sensor } from "../../api.ts";
import { formatCount, formatDrift, formatValue } from "../../format.ts";
import { Age } from "../../parts/time.tsx";

export function Headline({ sensor, isCalibrated }: { sensor: Sensor; isCalibrated: boolean }) {
  const { id, unit, value, baseline } = sensor;
  const newest = useQuery({
    queryKey: ["newest reading", id, sensor.last_updated],
    queryFn: ({ signal }) => ask<Page<Reading>>(`/api/readings/${query({ sensor_id: id, limit: 1 })}`, { signal }),
    enabled: isCalibrated,
    placeholderData: (before) => before,
  }).data?.results[0];
  const corrected = newest?.corrected_value ?? null;
  return (
    <dl className="card headline">
      <Item name="Value" isBig>
        {formatValue(value)} <small>{unit}</small>
      </Item>
      {corrected !== null && newest !== undefined && (
        <Item name={`Corrected by ${formatValue(corrected - newest.raw_value)} ${unit}`} isBig>
          {formatValue(corrected)} <small>{unit}</small>
        </Item>
      )}
      <Item name="Drift from the baseline" isBig>
        {formatDrift(sensor.drift)}
      </Item>
      <Item name="Baseline">
        {formatValue(baseline)} {baseline === null ? "" : unit}
      </Item>
      <Item name="Last reading">
        <Age at={sensor.last_updated} />
      </Item>
      <Item name="Open alarms">{formatCount(sensor.open_alarms)}</Item>
      <Item name="Subject">
        <span className="mono">
          readings.{sensor.site}.{sensor.key}
        </span>
      </Item>
    </dl>
  );
}

function Item({ name, isBig = false, children }: { name: string; isBig?: boolean; children: ReactNode }) {
  return (
    <div className={isBig ? "big" : ""}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
