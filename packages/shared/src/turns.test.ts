import { expect, it } from "vitest";
import { createTurns } from "./turns.ts";

it("lets many work together, one alone, and each in the order it asked", async () => {
  const turns = createTurns();
  const begun: string[] = [];
  const ask = (name: string, asked: Promise<() => void>) =>
    asked.then((end) => {
      begun.push(name);
      return end;
    });
  const breath = () => new Promise((resolve) => setImmediate(resolve));

  const a = ask("a", turns.together());
  const b = ask("b", turns.together());
  const c = ask("c alone", turns.alone());
  const d = ask("d", turns.together());
  await breath();
  expect(begun).toEqual(["a", "b"]);
  (await a)();
  await breath();
  expect(begun).toEqual(["a", "b"]);
  (await b)();
  await breath();
  expect(begun).toEqual(["a", "b", "c alone"]);
  const e = ask("e alone", turns.alone());
  (await c)();
  await breath();
  expect(begun).toEqual(["a", "b", "c alone", "d"]);
  (await d)();
  (await e)();
  expect(begun).toEqual(["a", "b", "c alone", "d", "e alone"]);
});
