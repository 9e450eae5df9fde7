import { commonKnobs, readKnobs, type Env } from "@calibration/shared/config.ts";

export const knobs = commonKnobs;

export const readConfig = (env: Env) => readKnobs(knobs, env);
