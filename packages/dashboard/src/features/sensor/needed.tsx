/** The sensor's worst open alarm, in the words that its list has further down: why somebody is needed, and what for. */
import { Link } from "@tanstack/react-router";
import type { Anomaly } from "../../api.ts";
import { Button } from "../../parts/controls.tsx";
import { Time } from "../../parts/time.tsx";
import { useMay } from "../../session.tsx";
import { Severity } from "../anomalies/severity.tsx";
import { adviceFor, readExplanation, typeWord, wantsCalibration } from "../anomalies/words.ts";

export function Needed({ alarm, others, onMore }: { alarm: Anomaly; others: number; onMore: () => void }) {
  const may = useMay();
  const { sentence } = readExplanation(alarm);
  return (
    <section className={`card needed needed-${alarm.severity}`} aria-label="What needs somebody">
      <div>
        <p>
          <Severity severity={alarm.severity} /> <strong>{typeWord(alarm)}</strong>{" "}
          <span className="quiet">
            since <Time at={alarm.timestamp} />
            {others > 0 && `, and ${others} more open ${others === 1 ? "alarm" : "alarms"}`}
          </span>
        </p>
        <p>{sentence}</p>
        <p>
          {adviceFor(alarm)}{" "}
          {wantsCalibration(alarm) && may.operate && (
            <Link to="/calibrations" search={{ record: alarm.sensor_id }}>
              Record a calibration
            </Link>
          )}
        </p>
      </div>
      <Button onPress={onMore}>More about it</Button>
    </section>
  );
}
