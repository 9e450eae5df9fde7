/** The end of a dialog's form: what went wrong, if anything did, and the two ways out. */
import type { ReactNode } from "react";
import { problemText } from "../api.ts";
import { Button } from "./controls.tsx";

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
    <>
      {trying.isError && (
        <p className="problem" role="alert">
          {problemText(trying.error)}
        </p>
      )}
      <div className="actions">
        <Button onPress={onClose}>Cancel</Button>
        <Button type="submit" kind="primary" isBusy={trying.isPending}>
          {children}
        </Button>
      </div>
    </>
  );
}
