import { modelKnobs, readKnobs, type Env } from "@calibration/shared/config.ts";

export const knobs = modelKnobs;

export const readConfig = (env: Env) => readKnobs(knobs, env);
