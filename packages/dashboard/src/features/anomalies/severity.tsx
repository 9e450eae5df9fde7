import type { Anomaly } from "../../api.ts";

const LOOKS: Readonly<Record<Anomaly["severity"], string>> = {
  Critical: "is-critical",
  High: "is-critical",
  Medium: "is-warning",
  Low: "is-offline",
};

export function Severity({ severity }: { severity: Anomaly["severity"] }) {
  return <span className={`status ${LOOKS[severity]}`}>{severity}</span>;
}
