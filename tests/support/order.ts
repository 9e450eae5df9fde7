/** The order of test files: what may be left out on a starved machine comes last, and just before it the start of everything. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

const LATER = [/two-starts/, /tests\/(faults|browser)\//];

const rank = ({ moduleId }: TestSpecification): number => LATER.findIndex((pattern) => pattern.test(moduleId));

export class PatientSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
