/** The frame round every page: where one is, whether what is shown is live, and who is signed in. */
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { formatCount, formatTime } from "./format.ts";
import { useLive } from "./live.ts";
import { useStaleSince } from "./parts/stale.ts";
import { useNow } from "./parts/time.tsx";
import { openAlarmsQuery, sessionQuery } from "./queries.ts";
import { SignedIn, SignOut } from "./session.tsx";

const SECTIONS = [
  { to: "/", label: "Plant" },
  { to: "/anomalies", label: "Anomalies" },
  { to: "/models", label: "Models" },
  { to: "/calibrations", label: "Calibrations" },
  { to: "/system", label: "System" },
] as const;

export function Shell() {
  return (
    <SignedIn>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <div className="top-inner">
          <Link to="/" className="brand">
            <img src="/icon.svg" alt="" width="24" height="24" />
            Calibration
          </Link>
          <nav className="nav" aria-label="Sections">
            {SECTIONS.map(({ to, label }) => (
              <Link key={to} to={to} activeOptions={{ exact: to === "/", includeSearch: false }}>
                {label}
                {to === "/anomalies" && <OpenAlarms />}
              </Link>
            ))}
          </nav>
          <div className="top-end">
            <Live />
            <Who />
            <SignOut />
          </div>
        </div>
        <StaleBar />
      </header>
      <Main />
    </SignedIn>
  );
}

/** Whoever goes to another page by keys or by ear is at its beginning, unless something in it takes the focus. */
function Main() {
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: ({ resolvedLocation }) => resolvedLocation?.pathname });
  const shown = useRef(path);
  useEffect(() => {
    const isFirst = shown.current === undefined;
    if (path === shown.current) return;
    shown.current = path;
    if (!isFirst && !main.current!.contains(document.activeElement)) main.current!.focus({ preventScroll: true });
  }, [path]);
  return (
    <main id="main" className="page" ref={main} tabIndex={-1}>
      <Outlet />
    </main>
  );
}

function OpenAlarms() {
  const { data } = useQuery(openAlarmsQuery);
  if (data === undefined || data.count === 0) return null;
  return (
    <span className="count">
      {formatCount(data.count)}
      <span className="visually-hidden"> open alarms</span>
    </span>
  );
}

function Live() {
  const { kind, sinceMs } = useLive();
  const partSinceMs = useStaleSince();
  const now = useNow(60_000);
  const words = {
    connecting: "Connecting…",
    live: "Live",
    reconnecting: "Reconnecting…",
    stale: `Stale since ${formatTime(sinceMs, now)}`,
  };
  // Events may come while the lists do not: live is said of both or not at all.
  const isPartly = kind === "live" && partSinceMs !== null;
  return (
    <span className={`live live-${isPartly ? "stale" : kind}`} role="status">
      <span className="dot" aria-hidden="true" />
      {isPartly ? "Partly stale" : words[kind]}
    </span>
  );
}

function StaleBar() {
  const { kind, sinceMs } = useLive();
  const partSinceMs = useStaleSince();
  const now = useNow(60_000);
  if (kind === "stale")
    return (
      <div className="stale-bar">
        No connection to the platform: what you see is of {formatTime(sinceMs, now)}. It will go on by itself.
      </div>
    );
  if (kind !== "live" || partSinceMs === null) return null;
  return (
    <div className="stale-bar">
      The platform could not answer everything: some of what you see is of {formatTime(partSinceMs, now)}. It is asked
      again by itself.
    </div>
  );
}

function Who() {
  const { data } = useQuery(sessionQuery);
  return data === null || data === undefined ? null : <span className="quiet who">{data.role}</span>;
}
