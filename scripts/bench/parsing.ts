/** What a message costs before anything is decided: its JSON, and the check of each reading, by hand beside a compiled TypeBox schema. */
import { QUALITIES, readElement, readTimestamp, type Quality, type Reading } from "@calibration/shared/reading.ts";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { inTurns, type Figure } from "./figure.ts";
import { aReading } from "./publisher.ts";

const PER_MESSAGE = 100;
const WARM_MESSAGES = 2_000;

/** The shape of a reading. That a time is a time, and lies between 2000 and five minutes ahead, no schema says. */
const schema = Compile(
  Type.Object({
    value: Type.Number(),
    timestamp: Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Null()])),
    quality: Type.Optional(Type.Union([...QUALITIES.map((quality) => Type.Literal(quality)), Type.Null()])),
  }),
);

/** As `readElement`, with the schema in the place of its questions about the shape. */
function readBySchema(element: unknown): Reading | string {
  if (!schema.Check(element)) return "not a reading";
  const { value, timestamp, quality } = element as { value: number; timestamp?: unknown; quality?: Quality | null };
  const timestampMs = readTimestamp(timestamp);
  return typeof timestampMs === "string" ? timestampMs : { timestampMs, value, quality: quality ?? "good" };
}

export async function parsingFigures(quick: boolean, rounds: number): Promise<Figure[]> {
  const messages = quick ? 5_000 : 30_000;
  const text = JSON.stringify(Array.from({ length: PER_MESSAGE }, (_, i) => aReading(1, i, Date.now() - 200_000)));
  const elements = JSON.parse(text) as unknown[];
  const checking = (check: (element: unknown) => Reading | string) => () => {
    for (const element of elements)
      if (typeof check(element) === "string") throw new Error("a sound reading is refused");
  };
  const byHand = checking((element) => readElement(element, null));
  const bySchema = checking(readBySchema);
  const parsing = () => void JSON.parse(text);
  const cost = (work: () => void) => async () => nanosecondsAReading(work, messages);
  const parts = { unit: "ns a reading", bound: null, rounds, faster: true };
  return [
    await inTurns({
      ...parts,
      name: "a reading checked by hand",
      reference: "by a compiled TypeBox schema",
      ours: cost(byHand),
      theirs: cost(bySchema),
    }),
    await inTurns({
      ...parts,
      name: "a reading checked by hand",
      reference: "its JSON parsed",
      ours: cost(byHand),
      theirs: cost(parsing),
    }),
  ];
}

/** Of the processor, and not of the clock: others are on the machine too. */
function nanosecondsAReading(work: () => void, messages: number): number {
  for (let i = 0; i < WARM_MESSAGES; i++) work();
  const before = process.cpuUsage();
  for (let i = 0; i < messages; i++) work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (messages * PER_MESSAGE);
}
