import { csvReadings, ColumnMissing, type CsvColumns } from "./csv.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const AT = Date.UTC(2014, 3, 1);

async function rowsOf(
  text: string,
  columns: CsvColumns = { timestamp: "timestamp", value: "value" },
  nowMs = Infinity,
) {
  const directory = mkdtempSync(join(tmpdir(), "csv-"));
  try {
    const file = join(directory, "series.csv");
    writeFileSync(file, text);
    const rows = [];
    for await (const row of csvReadings(file, columns, nowMs)) rows.push(row);
    return rows;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("csvReadings", () => {
  it("takes a byte order mark, CRLF, quotes, empty lines and other columns as they come", async () => {
    expect(
      await rowsOf(
        '\uFEFFstation,"timestamp",value\r\nA,"2014-04-01 00:00:00","1.5"\r\n\r\n"B, west",2014-04-01T00:05:00Z, -2e1 \r\n',
      ),
    ).toEqual([
      { timestamp: AT, value: 1.5 },
      { timestamp: AT + 300_000, value: -20 },
    ]);
  });

  it("names a row of the future, which would be kept by nobody, unless the series is moved", async () => {
    const text = `timestamp,value\n${AT + 300_000},1\n${AT + 300_001},2`;
    expect(await rowsOf(text, undefined, AT)).toEqual([
      { timestamp: AT + 300_000, value: 1 },
      { problem: `line 3: timestamp is in the future: "${AT + 300_001}"` },
    ]);
    expect(await rowsOf(text)).toHaveLength(2);
  });

  it("takes seconds and milliseconds since 1970, and the columns it is told", async () => {
    expect(
      await rowsOf(`t,temperature\n${AT / 1000},1\n${AT + 1},2`, { timestamp: "t", value: "temperature" }),
    ).toEqual([
      { timestamp: AT, value: 1 },
      { timestamp: AT + 1, value: 2 },
    ]);
  });

  it("names each row that is no reading, with its line, and goes on", async () => {
    const rows = await rowsOf(
      "timestamp,value\n2014-04-01 00:00:00,hot\n2014-04-01 00:00:00\nnoon,3\n2014-04-01 00:00:00,\n2014-04-01 00:00:00,4\n",
    );
    expect(rows).toEqual([
      { problem: 'line 2: "hot" is no number' },
      { problem: "line 3: it has fewer columns than the header" },
      { problem: expect.stringMatching(/^line 4: .*: "noon"$/) as string },
      { problem: 'line 5: "" is no number' },
      { timestamp: AT, value: 4 },
    ]);
  });

  it("refuses a header without the columns, and says nothing of an empty file", async () => {
    await expect(rowsOf("time,celsius\n1,2\n")).rejects.toThrow(ColumnMissing);
    expect(await rowsOf("")).toEqual([]);
  });
});
