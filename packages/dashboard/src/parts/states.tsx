/** Every list's other states, with words that say what to do. */
import type { ReactNode } from "react";
import { problemText } from "../api.ts";
import { Button } from "./controls.tsx";

export function Loading({ what }: { what: string }) {
  return (
    <div className="skeletons" role="status">
      <span className="visually-hidden">Loading {what}…</span>
      {["34%", "78%", "62%", "70%"].map((width) => (
        <span key={width} className="skeleton" style={{ width }} />
      ))}
    </div>
  );
}

export function Failing({ what, query }: { what: string; query: { error: unknown; refetch: () => unknown } }) {
  return (
    <div className="note" role="alert">
      <h2>{capital(what)} could not be loaded</h2>
      <p>{problemText(query.error)}</p>
      <Button onPress={() => void query.refetch()}>Try again</Button>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="note">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What was asked for, or its loading or failing state. What was there before a failure stays. */
export function Answered<T>({
  what,
  query,
  children,
}: {
  what: string;
  query: { data: T | undefined; isPending: boolean; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  return query.isPending ? <Loading what={what} /> : <Failing what={what} query={query} />;
}
