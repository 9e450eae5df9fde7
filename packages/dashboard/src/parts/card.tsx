/** A part of a page under a title of its own, with what can be done to it beside the title. */
import { useId, type ReactNode } from "react";

export function Card({
  title,
  id,
  actions,
  children,
}: {
  title: string;
  /** By which a link leads to it. */
  id?: string;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const titleId = useId();
  return (
    <section className="card" id={id} aria-labelledby={titleId}>
      <div className="card-head">
        <h2 id={titleId}>{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}
