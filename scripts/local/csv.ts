/** Readings in a CSV file, one at a time: a file of any size takes the same memory. */
import { AHEAD_MS_MAX, readTimestamp } from "@calibration/shared/reading.ts";
import { parse } from "csv-parse";
import { createReadStream } from "node:fs";

export interface CsvReading {
  /** Milliseconds since 1970. */
  timestamp: number;
  value: number;
}

/** A row that is no reading, with its line and the reason. */
export interface CsvProblem {
  problem: string;
}

export interface CsvColumns {
  timestamp: string;
  value: string;
}

/** The header lacks a column that was asked for. */
export class ColumnMissing extends Error {}

/** A line longer than this is no row of two numbers, and ends the import instead of filling the memory. */
const RECORD_BYTES_MAX = 1_000_000;

/**
 * Every row below the header, in the file's order, as a reading or as a problem. A byte order mark, CRLF, quotes, empty
 * lines and further columns are taken as they come. Throws {@link ColumnMissing}, or what makes the file no CSV at all.
 * @param nowMs rows from after it, by more than a plant's clock may run ahead, are none that the platform would keep;
 * Infinity where the series is moved
 */
export async function* csvReadings(
  path: string,
  columns: CsvColumns,
  nowMs: number,
): AsyncGenerator<CsvReading | CsvProblem> {
  const parser = createReadStream(path).pipe(
    parse({
      bom: true,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      max_record_size: RECORD_BYTES_MAX,
    }),
  );
  let at: { timestamp: number; value: number } | null = null;
  for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
    if (at === null) at = placesOf(record, columns, path);
    else yield rowOf(record[at.timestamp], record[at.value], info.lines, nowMs + AHEAD_MS_MAX);
  }
}

function placesOf(header: readonly string[], columns: CsvColumns, path: string): { timestamp: number; value: number } {
  const timestamp = header.indexOf(columns.timestamp);
  const value = header.indexOf(columns.value);
  if (timestamp === -1 || value === -1) {
    throw new ColumnMissing(
      `${path} has no columns "${columns.timestamp}" and "${columns.value}"; it has ${header.join(", ")}`,
    );
  }
  return { timestamp, value };
}

function rowOf(
  timestampText: string | undefined,
  valueText: string | undefined,
  line: number,
  latestMs: number,
): CsvReading | CsvProblem {
  if (timestampText === undefined || valueText === undefined)
    return { problem: `line ${line}: it has fewer columns than the header` };
  const timestamp = timestampOf(timestampText);
  if (typeof timestamp === "string") return { problem: `line ${line}: ${timestamp}: "${timestampText}"` };
  if (timestamp > latestMs) return { problem: `line ${line}: timestamp is in the future: "${timestampText}"` };
  const value = valueText === "" ? NaN : Number(valueText);
  if (!Number.isFinite(value)) return { problem: `line ${line}: "${valueText}" is no number` };
  return { timestamp, value };
}

/** As a message may carry it, and also as tables write it: "2014-04-01 00:00:00", in UTC; or a reason why not. */
function timestampOf(text: string): number | string {
  if (/^\d+$/.test(text)) return readTimestamp(text.length <= 10 ? Number(text) * 1000 : Number(text));
  const plain = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$/.exec(text);
  return readTimestamp(plain === null ? text : `${plain[1]}T${plain[2]}Z`);
}
