/** The head of a page: its title, in the tab too, and what can be done there. */
import { useEffect, type ReactNode } from "react";

const PLATFORM = "Calibration Platform";

export function PageHead({ title, children }: { title: string; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · ${PLATFORM}`;
    return () => {
      document.title = PLATFORM;
    };
  }, [title]);
  return (
    <div className="page-head">
      <h1>{title}</h1>
      {children}
    </div>
  );
}
