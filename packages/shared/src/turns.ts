/** Work that may go on together, and work that must be alone: many of the one, or one of the other, in the order they asked. */

export interface Turns {
  /** Resolves with what ends the turn. */
  together(): Promise<() => void>;
  alone(): Promise<() => void>;
}

export function createTurns(): Turns {
  const waiting: { isAlone: boolean; begin(): void }[] = [];
  let underWay = 0;
  let isAlone = false;

  const next = () => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (isAlone || (first.isAlone && underWay > 0)) return;
      waiting.shift();
      underWay++;
      isAlone = first.isAlone;
      first.begin();
    }
  };
  const take = (alone: boolean): Promise<() => void> =>
    new Promise((resolve) => {
      const end = () => {
        underWay--;
        isAlone = false;
        next();
      };
      waiting.push({ isAlone: alone, begin: () => resolve(end) });
      next();
    });
  return { together: () => take(false), alone: () => take(true) };
}
