/** Tokens: who may ask, as what, of which sites. A token is shown once, when it is made. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask, problemText, type Page, type Role, type Token } from "../../api.ts";
import { Button, Dialog, Select, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { Answered } from "../../parts/states.tsx";
import { Age } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";

const ROLES: readonly { id: Role; label: string }[] = [
  { id: "viewer", label: "viewer: sees" },
  { id: "operator", label: "operator: also resolves, calibrates, trains" },
  { id: "admin", label: "admin: everything" },
  { id: "plant", label: "plant: publishes readings, nothing else" },
];

export function Tokens() {
  const client = useQueryClient();
  const [isMaking, setMaking] = useState(false);
  const tokens = useQuery({
    queryKey: keys.tokens,
    queryFn: ({ signal }) => ask<Page<Token>>("/api/tokens/?limit=1000", { signal }),
  });
  const revoking = useMutation({
    mutationFn: (id: number) => ask<null>(`/api/tokens/${id}/`, { method: "DELETE" }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.tokens }),
  });
  return (
    <section className="card" aria-labelledby="tokens-title">
      <div className="card-head">
        <h2 id="tokens-title">Tokens</h2>
        <Button onPress={() => setMaking(true)}>Make a token</Button>
      </div>
      {revoking.isError && (
        <p className="problem" role="alert">
          {problemText(revoking.error)}
        </p>
      )}
      <Answered what="the tokens" query={tokens}>
        {({ results }) => (
          <table className="table stacks">
            <thead>
              <tr>
                <th>Name</th>
                <th>Role</th>
                <th>Sites</th>
                <th>Last used</th>
                <th>
                  <span className="visually-hidden">What to do</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {results.map((token) => (
                <tr key={token.id}>
                  <td className="lead">{token.name}</td>
                  <td data-label="Role">{token.role}</td>
                  <td data-label="Sites">{token.sites === null ? "all" : token.sites.join(", ")}</td>
                  <td data-label="Last used">
                    <Age at={token.last_used_at} />
                  </td>
                  <td className="row-actions">
                    {token.revoked_at !== null ? (
                      <span className="quiet">
                        revoked <Age at={token.revoked_at} />
                      </span>
                    ) : (
                      <Button kind="danger" isBusy={revoking.isPending} onPress={() => revoking.mutate(token.id)}>
                        Revoke<span className="visually-hidden"> {token.name}</span>
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Answered>
      {isMaking && <Make onClose={() => setMaking(false)} />}
    </section>
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
