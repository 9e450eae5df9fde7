/** Whose models are shown, as the address bar keeps it; everybody's where nothing is said. */
export interface ModelSearch {
  sensor?: number;
}

export function readModelSearch({ sensor }: Record<string, unknown>): ModelSearch {
  const id = Number(sensor);
  return sensor !== undefined && Number.isInteger(id) && id > 0 ? { sensor: id } : {};
}
