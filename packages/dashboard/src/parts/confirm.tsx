/** What cannot be undone is asked about once more. */
import type { ReactNode } from "react";
import { Button, Dialog } from "./controls.tsx";
import { Problem } from "./problem.tsx";

export function Confirm({
  title,
  trying,
  doIt,
  does,
  onClose,
  children,
}: {
  title: string;
  trying: { isError: boolean; error: unknown; isPending: boolean };
  doIt: () => void;
  /** What the button that does it says. */
  does: string;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <Problem of={trying} />
      <div className="actions">
        <Button autoFocus onPress={onClose}>
          Cancel
        </Button>
        <Button kind="danger" isBusy={trying.isPending} onPress={doIt}>
          {does}
        </Button>
      </div>
    </Dialog>
  );
}
