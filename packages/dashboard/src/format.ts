/** Figures and times as a person reads them. */

const formats = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const significant = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const MINUS = "−";
const DASH = "–";

const withMinus = (text: string): string => text.replace("-", MINUS);

/** A measured value with as many decimals as tell it from its neighbours: 4.213, 82.41, 501.2, 12,340. */
export function formatValue(value: number | null | undefined): string {
  if (value === null || value === undefined) return DASH;
  const size = Math.abs(value);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return withMinus(formats[digits]!.format(value));
}

export const formatCount = (count: number | null | undefined): string =>
  count === null || count === undefined ? DASH : whole.format(count);

/** Three significant digits: scores, rates, metrics. */
export const formatFigure = (value: number | null | undefined): string =>
  value === null || value === undefined ? DASH : withMinus(significant.format(value));

/** With its sign, in percent. */
export function formatDrift(drift: number | null | undefined): string {
  if (drift === null || drift === undefined) return DASH;
  const text = formats[Math.abs(drift) >= 100 ? 0 : 1]!.format(Math.abs(drift));
  const sign = Number(text.replaceAll(",", "")) === 0 ? "" : drift < 0 ? MINUS : "+";
  return `${sign}${text} %`;
}

/** Percent to one decimal; what is there and would read as nothing is said to be less than that. */
export function formatPercent(percent: number): string {
  const size = Math.abs(percent);
  if (size > 0 && size < 0.05) return "< 0.1 %";
  return `${withMinus(formats[size >= 100 ? 0 : 1]!.format(percent))} %`;
}

export const formatShare = (share: number | null | undefined): string =>
  share === null || share === undefined ? DASH : `${withMinus(formats[0]!.format(share * 100))} %`;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 12 s, 3 min, 5 h, 12 d. */
export function formatDuration(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.round(ms / SECOND))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** How long ago; a clock that runs ahead a little is now. */
export const formatAge = (time: string | null, nowMs: number): string =>
  time === null ? "never" : `${formatDuration(Math.max(0, nowMs - Date.parse(time)))} ago`;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const thisYear = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const anyYear = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

/** In the viewer's zone, as short as tells it from other times: the clock today, else the day with it. */
export function formatTime(time: string | number, nowMs: number): string {
  const date = new Date(time);
  const now = new Date(nowMs);
  if (date.toDateString() === now.toDateString()) return clock.format(date);
  return (date.getFullYear() === now.getFullYear() ? thisYear : anyYear).format(date);
}

/** The same instant as everybody calls it. */
export const formatUtc = (time: string | number): string =>
  `${new Date(time).toISOString().replace("T", " ").slice(0, 19)} UTC`;

const kilo = 1024;
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log(bytes) / Math.log(kilo)));
  return `${formats[power === 0 ? 0 : 1]!.format(bytes / kilo ** power)} ${units[power]!}`;
}
