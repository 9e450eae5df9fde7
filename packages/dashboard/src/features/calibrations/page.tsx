/** The calibrations: what was recorded, and a new one with what it would change before it is saved. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ask, query, type Calibration, type Page } from "../../api.ts";
import { formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button } from "../../parts/controls.tsx";
import { Pager } from "../../parts/pager.tsx";
import { SensorLink } from "../../parts/sensor-link.tsx";
import { PageHead } from "../../parts/page-head.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { keys, useSensorsById } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import "./calibrations.css";
import { Due } from "./due.tsx";
import { RecordCalibration } from "./record.tsx";

const PAGE = 100;

/** What is recorded stands in the address: another page leads here with the sensor already chosen. */
export function CalibrationsPage() {
  const may = useMay();
  const { record } = useSearch({ from: "/calibrations" });
  const navigate = useNavigate({ from: "/calibrations" });
  const begin = (sensor: number | "any") => void navigate({ search: { record: sensor } });
  const isRecording = may.operate && record !== undefined;
  return (
    <>
      <PageHead title="Calibrations">
        {may.operate && !isRecording && (
          <Button kind="primary" onPress={() => begin("any")}>
            Record a calibration
          </Button>
        )}
      </PageHead>
      {isRecording && (
        <RecordCalibration
          key={record}
          sensorId={record === "any" ? null : record}
          onClose={() => void navigate({ search: {} })}
        />
      )}
      <Due {...(may.operate ? { record: begin } : {})} />
      <History />
    </>
  );
}

function describeParams({ params }: Calibration): string {
  if (params === null || params === undefined) return "none given";
  const { slope, intercept, coefficients, points } = params as {
    slope?: number;
    intercept?: number;
    coefficients?: number[];
    points?: [number, number][];
  };
  if (slope !== undefined) return `slope ${formatValue(slope)}, intercept ${formatValue(intercept)}`;
  if (coefficients !== undefined) return coefficients.map((one) => formatValue(one)).join(", ");
  return `${points?.length ?? 0} points`;
}

const COLUMNS: readonly Column<Calibration>[] = [
  { name: "Sensor", cell: ({ sensor_id: id }) => <SensorLink id={id} /> },
  { name: "When", isWhole: true, cell: (one) => <Time at={one.applied_at} /> },
  { name: "Method", cell: ({ method }) => method },
  {
    name: "Measured",
    isNumber: true,
    cell: (one) => (one.raw_value === null ? "no readings" : <InUnit of={one} value={one.raw_value} />),
  },
  { name: "Reference", isNumber: true, cell: (one) => <InUnit of={one} value={one.corrected_value} /> },
  {
    name: "Difference",
    isNumber: true,
    cell: (one) =>
      one.raw_value === null ? "–" : <InUnit of={one} value={one.corrected_value - one.raw_value} isSigned />,
  },
  { name: "Parameters", cell: (one) => <span className="quiet">{describeParams(one)}</span> },
];

function InUnit({ of, value, isSigned = false }: { of: Calibration; value: number; isSigned?: boolean }) {
  return `${isSigned && value > 0 ? "+" : ""}${formatValue(value)} ${useSensorsById().get(of.sensor_id)?.unit ?? ""}`;
}

function History() {
  const calibrations = useInfiniteQuery({
    queryKey: [...keys.calibrations, "all"],
    queryFn: ({ pageParam, signal }) =>
      ask<Page<Calibration>>(`/api/calibrations/${query({ limit: PAGE, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
  });
  return (
    <Card title="History">
      <Answered what="the calibrations" query={calibrations}>
        {({ pages }) => {
          const all = pages.flatMap(({ results }) => results);
          return all.length > 0 ? (
            <Table columns={COLUMNS} rows={all} keyOf={({ id }) => id} />
          ) : (
            <Empty title="No calibration yet">
              <p>
                Hold a sensor against a reference and record what the reference said: from five of them a model learns
                the correction.
              </p>
            </Empty>
          );
        }}
      </Answered>
      <Pager list={calibrations}>Show earlier ones</Pager>
    </Card>
  );
}
