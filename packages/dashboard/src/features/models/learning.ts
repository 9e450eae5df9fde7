/** Who speaks while a sensor's own history is short, in words. */
import { formatFigure } from "../../format.ts";

const WORDS: Readonly<Record<string, string>> = {
  watchers: "range, rate and silence are watched; what is usual is known from 10 readings on",
  threshold: "readings far from the recent ones are flagged; the novelty detector listens from 100 readings on",
  isolation_forest: "the forest flags readings; the novelty detector listens from 100 readings on",
  novelty: "the novelty detector listens, and raises alarms when the learning is complete",
};

export const learningWords = (stage: string): string => WORDS[stage] ?? stage.replaceAll("_", " ");

/** Of what has been watched: part of a day is told too. */
export const daysWord = (days: number): string =>
  days === 0 ? "no time yet" : `${formatFigure(days)} ${days === 1 ? "day" : "days"}`;
