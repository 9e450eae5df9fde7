/** An anomaly: an episode in which a sensor was unlike itself, as the services keep it and REST shows it. */

export type AnomalyType = "Drift" | "Spike" | "Dropout" | "Noise" | "Calibration Error";
export const ANOMALY_TYPES: readonly AnomalyType[] = ["Drift", "Spike", "Dropout", "Noise", "Calibration Error"];

export type Severity = "Low" | "Medium" | "High" | "Critical";
export const SEVERITIES: readonly Severity[] = ["Low", "Medium", "High", "Critical"];

export type AnomalyMethod = "isolation_forest" | "novelty" | "rule" | "threshold";
export const ANOMALY_METHODS: readonly AnomalyMethod[] = ["isolation_forest", "novelty", "rule", "threshold"];

/** As on the wire; `timestamp`, `last_seen` and `resolved_at` are ISO 8601. */
export interface AnomalyBody {
  id: number;
  sensor_id: number;
  type: AnomalyType | null;
  value: number | null;
  expected: number | null;
  deviation: number | null;
  severity: Severity;
  resolved: boolean;
  resolved_by: string | null;
  resolved_at: string | null;
  timestamp: string;
  last_seen: string;
  count: number;
  score: number | null;
  method: AnomalyMethod;
  model_version: number | null;
  alarm: boolean;
  explanation: Record<string, unknown>;
  note: string | null;
}
