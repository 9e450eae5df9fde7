/** The order of test files: those that may be left out on a starved machine come last, the rest as Vitest has them. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

const LAST = /tests\/(faults|browser)\/|two-starts/;

export class PatientSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => Number(LAST.test(a.moduleId)) - Number(LAST.test(b.moduleId)));
  }
}
