/** Why it is an anomaly: what was measured, what was expected, what spoke and how loudly, and what made it strange. */
import { Link } from "@tanstack/react-router";
import type { Anomaly } from "../../api.ts";
import { formatFigure, formatShare, formatValue } from "../../format.ts";
import { Time } from "../../parts/time.tsx";
import { useMay } from "../../session.tsx";
import "./anomalies.css";
import { adviceFor, METHOD_WORDS, readExplanation, wantsCalibration } from "./words.ts";

const FEATURES_SHOWN = 5;

export function Explanation({ anomaly, unit }: { anomaly: Anomaly; unit: string }) {
  const may = useMay();
  const { sentence, judgements, features, rules, fallbackReason } = readExplanation(anomaly);
  const withUnit = (value: number | null) => (value === null ? "–" : `${formatValue(value)} ${unit}`);
  const deviation =
    anomaly.deviation === null
      ? "–"
      : `${withUnit(Math.abs(anomaly.deviation))} ${anomaly.deviation >= 0 ? "above" : "below"}`;
  return (
    <div className="explanation">
      {sentence !== null && <p>{sentence}</p>}
      {!anomaly.resolved && (
        <p>
          <strong>What to do:</strong> {adviceFor(anomaly)}{" "}
          {wantsCalibration(anomaly) && may.operate && (
            <Link to="/calibrations" search={{ record: anomaly.sensor_id }}>
              Record a calibration
            </Link>
          )}
        </p>
      )}
      <dl className="facts">
        <Fact name="Worst reading">{withUnit(anomaly.value)}</Fact>
        <Fact name="Expected">{withUnit(anomaly.expected)}</Fact>
        <Fact name="Deviation">{deviation}</Fact>
        {judgements.map(({ name, score, threshold, version }) => (
          <Fact key={name} name={`Score, ${name}${version === null ? "" : ` v${version}`}`}>
            {formatFigure(score)}, limit {formatFigure(threshold)}
          </Fact>
        ))}
        <Fact name="Found by">{METHOD_WORDS[anomaly.method]}</Fact>
        <Fact name="Readings">
          {anomaly.count} unusual, last <Time at={anomaly.last_seen} />
        </Fact>
      </dl>
      {rules.length > 0 && (
        <ul className="rules">
          {rules.map(({ rule, detail }) => (
            <li key={rule}>
              <strong>{rule.replaceAll("_", " ")}</strong>: {detail}
            </li>
          ))}
        </ul>
      )}
      {features.length > 0 && (
        <div className="shares">
          <h2 className="small-title">What made it strange</h2>
          {features.slice(0, FEATURES_SHOWN).map(({ name, share }) => (
            <div key={name} className="share">
              <span>{name}</span>
              <span className="bar" aria-hidden="true">
                <span style={{ width: `${share * 100}%` }} />
              </span>
              <span className="number">{formatShare(share)}</span>
            </div>
          ))}
        </div>
      )}
      {fallbackReason !== null && (
        <p className="quiet">The model did not speak ({fallbackReason.replaceAll("_", " ")}); something simpler did.</p>
      )}
      {anomaly.resolved && (
        <p className="quiet">
          Resolved by {anomaly.resolved_by === "person" ? "a person" : "itself"}
          {anomaly.resolved_at !== null && (
            <>
              , <Time at={anomaly.resolved_at} />
            </>
          )}
          {anomaly.note !== null && `: ${anomaly.note}`}
        </p>
      )}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
