import { commonKnobs, integer, readKnobs, type Env, type Knob } from "@calibration/shared/config.ts";
import { MODEL_AGE_DAYS_MAX } from "@calibration/shared/training.ts";
import { CronPattern } from "croner";

/** The pattern of a schedule; null: there is none. An empty variable is one that was not set, as everywhere. */
const schedule: Knob<string | null> = {
  name: "TRAINER_SCHEDULE",
  meaning: "when it is checked what is due, as a cron pattern in UTC; never: only what is asked for is trained",
  fallback: "0 * * * *",
  expects: "a cron pattern, or never",
  parse(given) {
    if (given === "never") return null;
    try {
      return new CronPattern(given).pattern;
    } catch {
      return undefined;
    }
  },
};

export const knobs = {
  ...commonKnobs,
  schedule,
  threads: integer(
    "TRAINER_THREADS",
    "how many models this replica fits at a time, each in a thread of its own",
    1,
    1,
    64,
  ),
  maxAgeDays: integer("TRAINER_MAX_AGE_DAYS", "a model is due when it is older, in days", MODEL_AGE_DAYS_MAX, 1, 3650),
};

export const readConfig = (env: Env) => readKnobs(knobs, env);
