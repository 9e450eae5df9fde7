/** What of the plant is shown, as the address bar keeps it. */
export interface PlantSearch {
  q?: string;
  site?: string;
  type?: string;
  status?: string;
}

export function readPlantSearch(given: Record<string, unknown>): PlantSearch {
  const kept: PlantSearch = {};
  for (const name of ["q", "site", "type", "status"] as const) {
    const value = given[name];
    if (typeof value === "string" && value !== "") kept[name] = value;
    // The router reads ?q=13 as a number.
    else if (typeof value === "number") kept[name] = String(value);
  }
  return kept;
}
