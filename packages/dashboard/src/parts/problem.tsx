/** What was tried and did not succeed, for a person to read; nothing where nothing went wrong. */
import { problemText } from "../api.ts";

export function Problem({ of }: { of: { isError: boolean; error: unknown } }) {
  if (!of.isError) return null;
  return (
    <p className="problem" role="alert">
      {problemText(of.error)}
    </p>
  );
}
