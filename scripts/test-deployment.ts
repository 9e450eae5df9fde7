/** `npm run test:deployment`: builds the image, brings the stack up with docker compose, and disturbs it. */
import { runTests } from "./local/run-tests.ts";

await runTests(["deployment"]);
