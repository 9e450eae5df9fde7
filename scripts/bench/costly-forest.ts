import { scoreReading as scoreOnce, type IsolationForest } from "@calibration/models/isolation-forest.ts";

export * from "@calibration/models/isolation-forest.ts";

const COST = 200;

export function scoreReading(forest: IsolationForest, value: number, hour: number, weekday: number): number {
  let most = 0;
  for (let time = 0; time < COST; time++) most = Math.max(most, scoreOnce(forest, value, hour, weekday));
  return most;
}
