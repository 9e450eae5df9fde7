/** `npm test`: every test but those of the containers, which take minutes: `npm run test:deployment`. */
import { runTests } from "./local/run-tests.ts";

await runTests(["unit", "platform"]);
