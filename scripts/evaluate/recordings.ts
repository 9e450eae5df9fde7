/** Recorded series from a folder: those of Numenta's benchmark with their labels, and any table whose first columns are a time. */
import type { NabWindow } from "@calibration/models/evaluation/nab-score.ts";
import { RECORDING_READINGS_MIN, type Recording } from "@calibration/models/evaluation/faults.ts";
import { median } from "@calibration/models/statistics.ts";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** One of the benchmark's. */
export interface LabelledSeries {
  /** As in the labels: category/file.csv. */
  name: string;
  timestamps: string[];
  times: Float64Array;
  values: Float64Array;
  windows: NabWindow[];
}

/** A folder in the benchmark's layout. Throws an Error that says what is amiss. */
export function readCorpus(folder: string): LabelledSeries[] {
  const place = labelsOf(folder);
  if (place === null)
    throw new Error(
      `${folder} has neither windows.json nor labels/combined_windows.json: is it a folder of the benchmark?`,
    );
  const labels = JSON.parse(readFileSync(place.labels, "utf8")) as Record<string, [string, string][]>;
  const names = readdirSync(place.data, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => readdirSync(join(place.data, entry.name)).map((file) => `${entry.name}/${file}`))
    .filter((name) => name.endsWith(".csv"))
    .sort();
  if (names.length === 0) throw new Error(`${place.data} has no <category>/<series>.csv`);
  return names.map((name) => readSeries(join(place.data, name), name, labels[name] ?? []));
}

function labelsOf(folder: string): { data: string; labels: string } | null {
  const places = [
    { data: folder, labels: join(folder, "windows.json") },
    { data: join(folder, "data"), labels: join(folder, "labels", "combined_windows.json") },
  ];
  return places.find(({ labels }) => existsSync(labels)) ?? null;
}

function readSeries(file: string, name: string, windows: readonly [string, string][]): LabelledSeries {
  const rows = readFileSync(file, "utf8").trim().split(/\r?\n/).slice(1);
  const timestamps = rows.map((row) => row.slice(0, row.indexOf(",")));
  const times = Float64Array.from(timestamps, (text) => Date.parse(`${text.replace(" ", "T")}Z`));
  const values = Float64Array.from(rows, (row) => Number(row.slice(row.indexOf(",") + 1)));
  const bad = times.findIndex((time, i) => !Number.isFinite(time) || !Number.isFinite(values[i]!));
  if (bad >= 0) throw new Error(`${file}, line ${bad + 2}: not a time and a number`);
  return {
    name,
    timestamps,
    times,
    values,
    windows: windows.map(([from, to]) => ({ from: indexAt(times, from, name), to: indexAt(times, to, name) })),
  };
}

function indexAt(times: Float64Array, label: string, name: string): number {
  const index = times.indexOf(Date.parse(`${label.replace(" ", "T")}Z`));
  if (index < 0) throw new Error(`${name} has no reading at ${label}, where a window begins or ends`);
  return index;
}

/** A column with more of its values missing is no recording of a sensor that works. */
const MISSING_SHARE_MAX = 0.05;
/** What "Air Quality" of the UCI repository writes where there is no value. */
const MISSING = "-200";
/** A recorded silence of so many intervals is a dropout of its own. */
const GAP_INTERVALS = 4;

/**
 * Every recorded series under a folder that is long enough: the benchmark's (of its `real…` categories, with their labelled windows as
 * unusual), and each numeric column of other tables (commas or semicolons) with a `timestamp`, `datetime` or `time`, or `Date` (day/month/year) and `Time`.
 */
export function readRecordings(folder: string): Recording[] {
  const recordings = foldersUnder(folder).flatMap((place) => {
    if (labelsOf(place) !== null) {
      return readCorpus(place)
        .filter(({ name }) => name.startsWith("real"))
        .map(({ name, times, values, windows }) => ({ name, ...ascending(times, values), unusual: windows }));
    }
    return readdirSync(place)
      .filter((name) => name.endsWith(".csv"))
      .sort()
      .flatMap((name) => readTable(join(place, name), relative(folder, join(place, name))));
  });
  const long = recordings.filter(({ values }) => values.length >= RECORDING_READINGS_MIN);
  if (long.length === 0) throw new Error(`${folder} has no series of ${RECORDING_READINGS_MIN} readings or more`);
  return long.map((one) => ({ ...one, unusual: [...one.unusual, ...gapsOf(one.times)] }));
}

/** The folder and those in it; one of the benchmark is read as a whole. */
function foldersUnder(folder: string): string[] {
  if (labelsOf(folder) !== null) return [folder];
  const inside = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...inside.flatMap((entry) => foldersUnder(join(folder, entry.name)))];
}

function readTable(file: string, name: string): Recording[] {
  const [header, ...rows] = readFileSync(file, "utf8")
    .trim()
    .split(/\r?\n/)
    .map((row) => row.split(/[,;]/));
  const dated = header![0] === "Date" && header![1] === "Time";
  if (!dated && !/^(timestamp|datetime|time)$/i.test(header![0]!)) return [];
  const times = rows.map(([first, second]) => (dated ? dayFirst(first!, second!) : Date.parse(isoOf(first!))));
  return header!.slice(dated ? 2 : 1).flatMap((column, i) => {
    const texts = rows.map((row) => row[i + (dated ? 2 : 1)] ?? "");
    const held = texts.flatMap((text, at) =>
      text !== "" && text !== MISSING && Number.isFinite(Number(text)) && Number.isFinite(times[at]) ? [at] : [],
    );
    const isConstant = held.every((at) => texts[at] === texts[held[0]!]);
    if (isConstant || held.length < (1 - MISSING_SHARE_MAX) * texts.length) return [];
    const series = ascending(
      Float64Array.from(held, (at) => times[at]!),
      Float64Array.from(held, (at) => Number(texts[at])),
    );
    return [{ name: `${name} ${column}`, ...series, unusual: [] }];
  });
}

const isoOf = (text: string): string => (/Z|[+-]\d\d:?\d\d$/.test(text) ? text : `${text.replace(" ", "T")}Z`);

function dayFirst(date: string, time: string): number {
  const [day, month, year] = date.split("/").map(Number);
  const [hour, minute, second] = time.split(/[:.]/).map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}

/** A clock that was set back repeats itself; what it repeats is left out. */
function ascending(times: Float64Array, values: Float64Array): { times: Float64Array; values: Float64Array } {
  let newest = -Infinity;
  const kept: number[] = [];
  for (const [i, time] of times.entries()) {
    if (time <= newest) continue;
    newest = time;
    kept.push(i);
  }
  return { times: Float64Array.from(kept, (i) => times[i]!), values: Float64Array.from(kept, (i) => values[i]!) };
}

function gapsOf(times: Float64Array): { from: number; to: number }[] {
  const intervals = times.slice(1).map((time, i) => time - times[i]!);
  const usual = median(intervals);
  return [...intervals.entries()]
    .filter(([, each]) => each > GAP_INTERVALS * usual)
    .map(([i]) => ({ from: i, to: i + 1 }));
}
