import { expect, it } from "vitest";
import { elementsAsSent } from "./dead-letters.ts";

it("leaves the elements of an array as they were sent", () => {
  const sent = [
    '{"value": 1e400}',
    '{"value": 12345678901234567890, "value": "twice"}',
    '{"note": "a \\"quote\\\\", "list": [1, [2, {"a": "]}, {["}]]}',
    "null",
    '"],["',
    "[]",
    "-1.50",
  ];
  for (const between of [",", " ,\n\t"]) {
    const text = ` [\r\n${sent.join(between)} ] `;
    expect(elementsAsSent(text)).toEqual(sent);
    expect(elementsAsSent(text).map((one) => JSON.parse(one) as unknown)).toEqual(JSON.parse(text));
  }
});
