/** The false alarms that were promised beside the alarms there were, and how far a sensor's own history has come. */
import { CORPUS_DAYS } from "@calibration/models/false-alarm-budget.ts";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ask, type Sensor } from "../../api.ts";
import { formatCount, formatFigure } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Answered } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { keys } from "../../queries.ts";
import { daysWord, learningWords } from "./learning.ts";

/** Of one sensor, as a line of what it is judged by. */
export function SensorFalseAlarms({ sensor: { false_alarms: of, learning } }: { sensor: Sensor }) {
  return (
    <>
      {learning !== null && learning.stage !== "complete" && (
        <li>
          <div>
            <strong>Learning</strong>: {formatCount(learning.readings)} of {formatCount(learning.of)} readings
          </div>
          <div className="quiet">{learningWords(learning.stage)}</div>
        </li>
      )}
      <li>
        <div>
          <strong>Novelty</strong>, at most {formatFigure(of.promised_per_month)} false{" "}
          {formatFigure(of.promised_per_month) === "1" ? "alarm" : "alarms"} a month promised
        </div>
        <div className="quiet">
          {formatCount(of.alarms)} {of.alarms === 1 ? "alarm" : "alarms"} in {daysWord(of.days)}
          {of.observed_per_month !== null && `, which is ${formatFigure(of.observed_per_month)} a month`}; true ones are
          among them
        </div>
        <div className="quiet">{historyWords(of.own_history_days)}</div>
      </li>
    </>
  );
}

/** What a sensor's promise rests on. */
function historyWords(days: number): string {
  const corpus = `recorded signals of other plants, which weigh ${formatCount(CORPUS_DAYS)} days`;
  return days === 0
    ? `The promise rests on ${corpus}; the sensor has no history of its own yet.`
    : `The promise rests on ${daysWord(days)} of its own history, and on ${corpus}.`;
}

interface Sum {
  sensors: number;
  promised_per_month: number;
  sensor_days: number;
  own_history_days: number;
  promised_in_these_days: number;
  alarms_in_these_days: number;
}
interface Row extends Sum {
  place: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Site", cell: ({ place }) => place },
  { name: "Sensors", isNumber: true, cell: ({ sensors }) => formatCount(sensors) },
  { name: "Days watched", isNumber: true, cell: ({ sensor_days: days }) => formatFigure(days) },
  { name: "Days of own history", isNumber: true, cell: ({ own_history_days: days }) => formatFigure(days) },
  { name: "Promised at most", isNumber: true, cell: (row) => formatFigure(row.promised_in_these_days) },
  { name: "Alarms there were", isNumber: true, cell: (row) => formatCount(row.alarms_in_these_days) },
];

/** Of each site, and of all of them where there are several. */
export function PlantFalseAlarms() {
  const analytics = useQuery({
    queryKey: [...keys.models, "analytics"],
    queryFn: ({ signal }) =>
      ask<{ false_alarms: Sum & { by_site: Record<string, Sum> } }>("/api/ml-analytics/", { signal }),
  });
  return (
    <Card title="False alarms, promised and seen">
      <Answered what="the false alarms" query={analytics}>
        {({ false_alarms: { by_site: bySite, ...all } }) => {
          const sites = Object.entries(bySite).map(([place, sum]) => ({ place, ...sum }));
          return (
            <>
              <Table
                columns={COLUMNS}
                rows={sites.length > 1 ? [{ place: "All", ...all }, ...sites] : sites}
                keyOf={({ place }) => place}
              />
              <p className="card-body quiet">
                By the novelty detector, in the last 30 days of each sensor. Only people can tell true alarms from false
                ones: those that were false are at most these. A promise rests on the days of a sensor’s own history,
                and on recorded signals of other plants, which weigh {formatCount(CORPUS_DAYS)} days a sensor.{" "}
                <Link to="/system" hash="sites">
                  Budgets of the sites
                </Link>
              </p>
            </>
          );
        }}
      </Answered>
    </Card>
  );
}
