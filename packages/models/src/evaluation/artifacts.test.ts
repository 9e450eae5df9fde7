import { expect, it } from "vitest";
import { artifactDigests } from "./artifacts.ts";

it("the same readings make the same bytes, whatever Node.js or machine fits them", () => {
  // Seen on Node 24.21 and 26.10. A change that means to change a model changes its line here, and says so in its commit.
  expect(artifactDigests()).toEqual({
    anomaly: "eea07fbe997e29a525fa699b352d3ce64959cbc6009b36e7bfcee492d3a61f1e",
    drift: "f67c2833e83f177b423240ec31cf9ff145d4985434e1cec41beb31a037561091",
    calibration: "655ce55b917549715b46421ef478834db962357dd5d5188d45a8284b7efb5a4d",
    novelty: "d71206065b3cb22e0dc88d038a8335330eaf87e38b95c8d1d2bbcc8eecfbac4f",
  });
});
