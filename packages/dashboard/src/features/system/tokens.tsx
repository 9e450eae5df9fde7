/** Tokens: who may ask, as what, of which sites. A token is shown once, when it is made. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask, type Page, type Role, type Token } from "../../api.ts";
import { Card } from "../../parts/card.tsx";
import { Confirm } from "../../parts/confirm.tsx";
import { Button, Dialog, Select, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { Answered } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { Age } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";

const ROLES: readonly { id: Role; label: string }[] = [
  { id: "viewer", label: "viewer: sees" },
  { id: "operator", label: "operator: also resolves, calibrates, trains" },
  { id: "admin", label: "admin: everything" },
  { id: "plant", label: "plant: publishes readings, nothing else" },
];

const COLUMNS: readonly Column<Token>[] = [
  { name: "Name", cell: ({ name }) => name },
  { name: "Role", cell: ({ role }) => role },
  { name: "Sites", cell: ({ sites }) => (sites === null ? "all" : sites.join(", ")) },
  { name: "Last used", cell: (token) => <Age at={token.last_used_at} /> },
];

export function Tokens() {
  const [isMaking, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const tokens = useQuery({
    queryKey: keys.tokens,
    queryFn: ({ signal }) => ask<Page<Token>>("/api/tokens/?limit=1000", { signal }),
  });
  const actions: Column<Token> = {
    name: "What to do",
    isActions: true,
    cell: (token) =>
      token.revoked_at === null ? (
        <Button kind="plain" onPress={() => setRevoking(token)}>
          Revoke…<span className="visually-hidden"> {token.name}</span>
        </Button>
      ) : (
        <span className="quiet">
          revoked <Age at={token.revoked_at} />
        </span>
      ),
  };
  return (
    <Card title="Tokens" actions={<Button onPress={() => setMaking(true)}>Make a token</Button>}>
      <Answered what="the tokens" query={tokens}>
        {({ results }) => <Table columns={[...COLUMNS, actions]} rows={results} keyOf={({ id }) => id} />}
      </Answered>
      {isMaking && <Make onClose={() => setMaking(false)} />}
      {revoking !== null && <Revoke token={revoking} onClose={() => setRevoking(null)} />}
    </Card>
  );
}

function Revoke({ token, onClose }: { token: Token; onClose: () => void }) {
  const client = useQueryClient();
  const revoking = useMutation({
    mutationFn: () => ask<null>(`/api/tokens/${token.id}/`, { method: "DELETE" }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.tokens });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Revoke “${token.name}”?`}
      trying={revoking}
      doIt={() => revoking.mutate()}
      does="Revoke it"
      onClose={onClose}
    >
      <p>
        Whoever uses it is refused from now on, and signed out where they look at this page. It cannot be undone; a new
        token can be made.
      </p>
    </Confirm>
  );
}

function Make({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("viewer");
  const [sites, setSites] = useState("");
  const making = useMutation({
    mutationFn: () => {
      const fence = sites.split(/[\s,]+/).filter(Boolean);
      const body = { name, role, ...(fence.length === 0 ? {} : { sites: fence }) };
      return ask<{ token: string }>("/api/tokens/", { method: "POST", body });
    },
    onSuccess: () => client.invalidateQueries({ queryKey: keys.tokens }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  if (making.isSuccess)
    return (
      <Dialog title="The token, this once" onClose={onClose}>
        <p>Copy it now: only its hash is kept.</p>
        <pre className="secret" tabIndex={0} aria-label="The token">
          {making.data.token}
        </pre>
        <div className="actions">
          <Button onPress={() => void navigator.clipboard.writeText(making.data.token)}>Copy</Button>
          <Button kind="primary" onPress={onClose}>
            Done
          </Button>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="Make a token" onClose={onClose}>
      <form onSubmit={submit}>
        <TextInput label="Name" value={name} onChange={setName} isRequired autoFocus description="Who will use it" />
        <Select label="Role" options={ROLES} value={role} onChange={setRole} />
        <TextInput
          label="Sites"
          value={sites}
          onChange={setSites}
          description="With commas between them. Left out: all"
        />
        <FormEnd trying={making} onClose={onClose}>
          Make it
        </FormEnd>
      </form>
    </Dialog>
  );
}
