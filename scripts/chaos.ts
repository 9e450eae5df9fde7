/** `npm run chaos`: the long form of the fault tests; the short one is part of `npm test`. */
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";

const USAGE = `npm run chaos -- [--minutes N] [--seed N] [--soak | --input [--cases N]]
  --minutes N  breaks the running platform for so long (default 10), then compares it with an undisturbed one
  --seed N     another order, other readings (default 1)
  --soak       holds a steady load for so long instead (default 15), and shows what stays flat and what grows
  --input      strange payloads and requests instead, 20 000 of each unless --cases says otherwise`;
const MINUTES_DEFAULT = "10";
const SOAK_MINUTES_DEFAULT = "15";
const CASES_DEFAULT = "20000";

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: "string" },
        seed: { type: "string", default: "1" },
        cases: { type: "string", default: CASES_DEFAULT },
        soak: { type: "boolean", default: false },
        input: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const { minutes = values.soak ? SOAK_MINUTES_DEFAULT : MINUTES_DEFAULT } = values;
    const asked = { ...values, minutes };
    for (const name of ["minutes", "seed", "cases"] as const)
      if (!(Number(asked[name]) > 0)) throw new Error(`--${name} is a number above 0, and not ${asked[name]}`);
    if (values.soak && values.input) throw new Error("--soak and --input are two different things");
    return asked;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { minutes, seed, cases, soak, input, help } = readOptions();
if (help) {
  console.log(USAGE);
  process.exit(0);
}
Object.assign(
  process.env,
  { CHAOS_SEED: seed, CHAOS_SAY: "1" },
  input ? { CHAOS_CASES: cases } : { CHAOS_MINUTES: minutes },
);
const vitest = await startVitest("test", soak ? [] : input ? ["bad-input"] : ["nothing-is-lost"], {
  project: soak ? ["soak"] : ["unit", "platform"],
  run: true,
  watch: false,
  reporters: ["default"],
});
const failed = vitest.state.getCountOfFailedTests() + vitest.state.getUnhandledErrors().length;
await vitest.close();
process.exit(failed === 0 ? 0 : 1);
