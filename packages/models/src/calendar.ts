/**
 * What the clock on the plant's wall says. Plants work in shifts, by local time, so "usual at this hour" follows the sensor's
 * own time zone, through daylight saving and back.
 */

/** One instant as the clock on the wall shows it. */
export interface LocalTime {
  /** 0 to 23. */
  readonly hour: number;
  /** Monday 0 to Sunday 6. */
  readonly weekday: number;
  /** Seconds since 1970-01-01 00:00 of local time: UTC plus the zone's offset. It repeats an hour when summer ends. */
  readonly localSeconds: number;
}

export type Calendar = (timestampMs: number) => LocalTime;

/** Every zone's clock in use since 2000 changes on a quarter of an hour of UTC, so one offset holds for a whole block. */
const BLOCK_MS = 15 * 60_000;
/** A block costs about 100 bytes. 4096 of them are 43 days, and a backfill of years only asks each block again. */
const BLOCKS_KEPT_MAX = 4096;

/**
 * The calendar of one IANA time zone; each sensor keeps its own. Throws a RangeError for a zone that is not one.
 *
 * @example
 * const clock = createCalendar("Europe/Berlin");
 * clock(1_793_494_799_000).hour // 2, at 2026-10-31T23:59:59Z … see the test for both sides of the change
 */
export function createCalendar(timeZone: string): Calendar {
  const offsetAt = timeZone === "UTC" ? () => 0 : createOffsets(timeZone);
  return (timestampMs) => {
    const localSeconds = timestampMs / 1000 + offsetAt(timestampMs);
    const hours = Math.floor(localSeconds / 3600);
    const days = Math.floor(hours / 24);
    // 1970-01-01 was a Thursday, the day 3.
    return { hour: hours - days * 24, weekday: (((days + 3) % 7) + 7) % 7, localSeconds };
  };
}

/** Whether a text names an IANA time zone that this machine knows. Offsets such as `+01:00` are none: they know no summer. */
export function isTimeZone(text: string): boolean {
  try {
    formatOf(text);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Seconds that local time is ahead of UTC, remembered for each block. */
function createOffsets(timeZone: string): (timestampMs: number) => number {
  const format = formatOf(timeZone);
  const blocks = new Map<number, number>();
  // Readings come in order, so nearly all of them ask for the block of the one before.
  let lastBlock = NaN;
  let lastOffset = 0;
  return (timestampMs) => {
    const block = Math.floor(timestampMs / BLOCK_MS);
    if (block === lastBlock) return lastOffset;
    let offset = blocks.get(block);
    if (offset === undefined) {
      offset = offsetOf(format, block * BLOCK_MS);
      if (blocks.size >= BLOCKS_KEPT_MAX) blocks.clear();
      blocks.set(block, offset);
    }
    lastBlock = block;
    lastOffset = offset;
    return offset;
  };
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  if (!/^[A-Za-z]/.test(timeZone)) throw new RangeError(`"${timeZone}" is not an IANA time zone`);
  return new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
}

/** Reads "GMT+05:30" (or plain "GMT") off the end of what Intl writes. */
function offsetOf(format: Intl.DateTimeFormat, timestampMs: number): number {
  const written = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(timestampMs));
  if (!written) throw new Error(`Intl wrote an offset in a form not known here: ${format.format(timestampMs)}`);
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = written;
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return sign === "-" ? -offset : offset;
}
