/** What of the calibrations the address bar keeps: which sensor one is being recorded of, or that it is still to be chosen. */
export interface CalibrationSearch {
  record?: number | "any";
}

export function readCalibrationSearch({ record }: Record<string, unknown>): CalibrationSearch {
  if (record === "any") return { record };
  const id = Number(record);
  return record !== undefined && Number.isInteger(id) && id > 0 ? { record: id } : {};
}
