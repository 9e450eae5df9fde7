import { expect, it } from "vitest";
import { readPlantUsers } from "./plant-users.ts";

const NORTH = { user: "north", password: "a secret", site: "north" };

it("takes whom the setting names, and nobody where it names none", () => {
  expect(readPlantUsers(JSON.stringify([NORTH, { ...NORTH, user: "north-2" }]))).toHaveLength(2);
  for (const none of [undefined, "", "[]"]) expect(readPlantUsers(none)).toEqual([]);
});

it.each([
  ["no JSON", '[{"user": "north", "password": a secret}]'],
  ["no array", JSON.stringify(NORTH)],
  ["another NATS user plant", JSON.stringify([{ ...NORTH, user: "plant" }])],
  ["another NATS user north", JSON.stringify([NORTH, NORTH])],
  ["number 2 are 1 to 64 letters", JSON.stringify([NORTH, { ...NORTH, user: "south", site: "*" }])],
  ["number 1 are 1 to 64 letters", JSON.stringify([{ ...NORTH, user: "north.>" }])],
  ["number 1 are 1 to 64 letters", "[null]"],
  ["number 1 has no password", JSON.stringify([{ ...NORTH, password: "" }])],
])("refuses what is %s, and tells no password", (why, text) => {
  expect(() => readPlantUsers(text)).toThrow(why);
  expect(() => readPlantUsers(text)).not.toThrow("a secret");
});
