import { commonKnobs, integer, readKnobs, text, type Env } from "@calibration/shared/config.ts";
import { MODEL_AGE_DAYS_MAX } from "@calibration/shared/training.ts";

export const knobs = {
  ...commonKnobs,
  schedule: text("TRAINER_SCHEDULE", "when it is checked what is due, as a cron pattern; empty: never", "0 * * * *"),
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
