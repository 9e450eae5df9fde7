/** The plant gateways that are fenced to one site each, as PLANT_USERS names them. */
import { TOKEN_PATTERN } from "@calibration/shared/topology.ts";
import { USERS, type PlantUser } from "./nats-config.ts";

const FORM = 'PLANT_USERS is JSON as [{"user": "north", "password": "…", "site": "north"}]';

/** Of a setting; none where it is not set. Throws, in one sentence, what is wrong with it: a wider fence is none. */
export function readPlantUsers(text: string | undefined): PlantUser[] {
  if (text === undefined || text.trim() === "") return [];
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    // What the parser says of it would quote passwords.
    throw new Error(`${FORM}, and this is no JSON`);
  }
  if (!Array.isArray(given)) throw new Error(`${FORM}, and this is no array`);
  const plants = given.map(readPlantUser);
  const names = new Set<string>(USERS);
  for (const { user } of plants) {
    if (names.has(user)) throw new Error(`PLANT_USERS: there is another NATS user ${user}`);
    names.add(user);
  }
  return plants;
}

function readPlantUser(given: unknown, index: number): PlantUser {
  const { user, password, site } = (given ?? {}) as Partial<Record<keyof PlantUser, unknown>>;
  const isToken = (value: unknown): value is string => typeof value === "string" && TOKEN_PATTERN.test(value);
  if (!isToken(user) || !isToken(site))
    throw new Error(`${FORM}; user and site of number ${index + 1} are 1 to 64 letters, digits, - and _`);
  if (typeof password !== "string" || password === "") throw new Error(`${FORM}; number ${index + 1} has no password`);
  return { user, password, site };
}
