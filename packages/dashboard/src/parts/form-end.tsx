/** The end of a dialog's form: what went wrong, if anything did, and the two ways out. */
import type { ReactNode } from "react";
import { Button } from "./controls.tsx";
import { Problem } from "./problem.tsx";

export function FormEnd({
  trying,
  onClose,
  children,
}: {
  trying: { isError: boolean; error: Error | null; isPending: boolean };
  onClose: () => void;
  /** What the button that submits says. */
  children: ReactNode;
}) {
  return (
    <div className="form-end">
      <Problem of={trying} />
      <div className="actions">
        <Button onPress={onClose}>Cancel</Button>
        <Button type="submit" kind="primary" isBusy={trying.isPending}>
          {children}
        </Button>
      </div>
    </div>
  );
}
