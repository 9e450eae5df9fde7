/** The anomalies of one sensor; the one that is chosen says why it is one. */
import { useState } from "react";
import type { Anomaly } from "../../api.ts";
import { Button } from "../../parts/controls.tsx";
import { Time } from "../../parts/time.tsx";
import { useMay } from "../../session.tsx";
import { Explanation } from "../anomalies/explanation.tsx";
import { Resolve } from "../anomalies/resolve.tsx";
import { Severity } from "../anomalies/severity.tsx";
import { METHOD_WORDS, typeWord } from "../anomalies/words.ts";

export function AnomalyList({
  anomalies,
  unit,
  selected,
  onSelect,
}: {
  anomalies: readonly Anomaly[];
  unit: string;
  selected: number | null;
  onSelect: (anomaly: Anomaly | undefined) => void;
}) {
  const may = useMay();
  const [resolving, setResolving] = useState<number | null>(null);
  return (
    <ul className="anomaly-list">
      {anomalies.map((anomaly) => (
        <li key={anomaly.id} className="anomaly">
          <button
            type="button"
            className="anomaly-button"
            aria-expanded={anomaly.id === selected}
            onClick={() => onSelect(anomaly.id === selected ? undefined : anomaly)}
          >
            <Severity severity={anomaly.severity} />
            <span>
              <strong>{typeWord(anomaly)}</strong>{" "}
              <span className="quiet">
                by {METHOD_WORDS[anomaly.method]}
                {anomaly.resolved ? ", over" : ", open"}
              </span>
            </span>
            <span className="quiet when">
              <Time at={anomaly.timestamp} />
            </span>
          </button>
          {anomaly.id === selected && (
            <div className="anomaly-detail">
              <Explanation anomaly={anomaly} unit={unit} />
              {may.operate && !anomaly.resolved && (
                <div>
                  <Button onPress={() => setResolving(anomaly.id)}>Resolve…</Button>
                </div>
              )}
            </div>
          )}
        </li>
      ))}
      {resolving !== null && <Resolve ids={[resolving]} onClose={() => setResolving(null)} />}
    </ul>
  );
}
