/** One or many anomalies are resolved, with a note for whoever reads of them later. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask } from "../../api.ts";
import { Dialog, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { keys } from "../../queries.ts";

const NOTE_MAX = 2000;

export function Resolve({
  ids,
  onClose,
  onDone,
}: {
  ids: readonly number[];
  onClose: () => void;
  onDone?: () => void;
}) {
  const client = useQueryClient();
  const [note, setNote] = useState("");
  const resolving = useMutation({
    mutationFn: async () => {
      const { pending } = await ask<{ resolved: number[]; pending: number[] }>("/api/anomalies/resolve/", {
        method: "POST",
        body: { ids, ...(note === "" ? {} : { note }) },
      });
      if (pending.length > 0)
        throw new Error(
          `${pending.length} of ${ids.length} are not resolved yet: the anomaly service is busy or away.`,
        );
    },
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keys.anomalies });
      void client.invalidateQueries({ queryKey: keys.sensors });
      void client.invalidateQueries({ queryKey: ["sensor"] });
    },
    onSuccess: () => {
      onDone?.();
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    resolving.mutate();
  };
  const what = ids.length === 1 ? "this anomaly" : `${ids.length} anomalies`;
  return (
    <Dialog title={`Resolve ${what}`} onClose={onClose}>
      <form onSubmit={submit}>
        <TextInput
          label="Note"
          value={note}
          onChange={setNote}
          isMultiline
          maxLength={NOTE_MAX}
          autoFocus
          description="What it was, or what was done. May be left out."
        />
        <FormEnd trying={resolving} onClose={onClose}>
          Resolve
        </FormEnd>
      </form>
    </Dialog>
  );
}
