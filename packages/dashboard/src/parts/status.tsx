import type { Sensor } from "../api.ts";

const WORDS: Readonly<Record<Sensor["status"], string>> = {
  critical: "Critical",
  warning: "Warning",
  online: "Online",
  offline: "Offline",
};

export const statusWord = (status: Sensor["status"]): string => WORDS[status];

export function Status({ status }: { status: Sensor["status"] }) {
  return (
    <span className={`status is-${status}`}>
      <span className="dot" aria-hidden="true" />
      {WORDS[status]}
    </span>
  );
}
