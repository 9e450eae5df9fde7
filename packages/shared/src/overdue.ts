/** Says when a piece of work has been under way for too long, and when none is any more. */

export interface Overdue extends Disposable {
  /** Returns what ends the piece of work. */
  begin(): () => void;
}

const LOOKS = 6;
const LOOK_MS_MIN = 250;

export function watchOverdue(parts: {
  part: string;
  stallMs: number;
  /** What is wrong, when the oldest piece of work is so many seconds old. */
  says(seconds: number): string;
  report(part: string, trouble: string | null): void;
}): Overdue {
  const { part, stallMs, says, report } = parts;
  const underWay = new Set<{ begunMs: number }>();
  const look = () => {
    const oldest = Math.min(...[...underWay].map(({ begunMs }) => begunMs));
    const forMs = performance.now() - oldest;
    report(part, forMs >= stallMs ? says(Math.round(forMs / 1000)) : null);
  };
  const looking = setInterval(look, Math.max(LOOK_MS_MIN, stallMs / LOOKS));
  looking.unref();
  return {
    begin() {
      const work = { begunMs: performance.now() };
      underWay.add(work);
      return () => underWay.delete(work);
    },
    [Symbol.dispose]: () => clearInterval(looking),
  };
}
