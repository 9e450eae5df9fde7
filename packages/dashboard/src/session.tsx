/** Who is signed in, and what that role may do; a page that asks for a token where nobody is. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, type FormEvent, type ReactNode } from "react";
import { ask, onSignedOut, problemText, type Role, type Session } from "./api.ts";
import { followPlant } from "./live.ts";
import { Button, Dialog, TextInput } from "./parts/controls.tsx";
import { Problem } from "./parts/problem.tsx";
import { Failing, Loading } from "./parts/states.tsx";
import { keys, sessionQuery } from "./queries.ts";

const OPERATE: readonly Role[] = ["operator", "admin"];

/** What whoever is signed in may do; what is not allowed is not shown. */
export function useMay(): { operate: boolean; administer: boolean } {
  const { data } = useQuery(sessionQuery);
  const role = data?.role ?? "viewer";
  return { operate: OPERATE.includes(role), administer: role === "admin" };
}

export function SignedIn({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const session = useQuery(sessionQuery);
  const role = session.data?.role;
  const mayLook = role !== undefined && role !== "plant";
  useEffect(() => onSignedOut(() => client.setQueryData(keys.session, null)), [client]);
  useEffect(() => (mayLook ? followPlant(client) : undefined), [client, mayLook]);
  if (session.isPending) return <Loading what="the session" />;
  if (session.isError) return <Failing what="the session" query={session} />;
  if (session.data === null) return <SignIn />;
  if (session.data.role === "plant") return <PlantOnly session={session.data} />;
  return children;
}

/** The printed link's code stands for a session, once. Whatever comes of it, it leaves the address bar. */
export async function useUpCode(): Promise<void> {
  const code = new URLSearchParams(location.search).get("code");
  if (code === null) return;
  history.replaceState(null, "", location.pathname);
  await ask("/api/session/", { method: "POST", body: { code } }).catch((error: unknown) => {
    codeProblem = problemText(error);
  });
}
let codeProblem: string | null = null;

function SignIn() {
  const client = useQueryClient();
  const [token, setToken] = useState("");
  const signingIn = useMutation({
    mutationFn: () => ask("/api/session/", { method: "POST", body: { token: token.trim() } }),
    onMutate: () => (codeProblem = null),
    onSuccess: () => client.invalidateQueries(),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signingIn.mutate();
  };
  return (
    <main className="sign-in">
      <section className="card" aria-labelledby="sign-in-title">
        <div className="brand">
          <img src="/icon.svg" alt="" width="28" height="28" />
          Calibration Platform
        </div>
        <h1 id="sign-in-title">Sign in</h1>
        <p className="quiet">
          Whoever started the platform has a link that signs in once, printed by <code>npm start</code>. With a token it
          works any time.
        </p>
        <form onSubmit={submit}>
          <TextInput
            label="Token"
            type="password"
            value={token}
            onChange={setToken}
            autoComplete="current-password"
            isRequired
          />
          <Problem of={codeProblem === null ? signingIn : { isError: true, error: new Error(codeProblem) }} />
          <Button type="submit" kind="primary" isBusy={signingIn.isPending}>
            Sign in
          </Button>
        </form>
      </section>
    </main>
  );
}

function PlantOnly({ session }: { session: Session }) {
  return (
    <main className="sign-in">
      <section className="card">
        <h1>This token publishes</h1>
        <p>
          “{session.name}” belongs to a plant gateway: it may send readings, and see none. Sign in with a viewer’s,
          operator’s or administrator’s token.
        </p>
        <SignOut />
      </section>
    </main>
  );
}

export function SignOut() {
  const signingOut = useMutation({
    mutationFn: () => ask<null>("/api/session/", { method: "DELETE" }),
    // The page begins anew: nothing of what this person saw stays in it.
    onSuccess: () => location.assign("/"),
  });
  return (
    <>
      <Button isBusy={signingOut.isPending} onPress={() => signingOut.mutate()}>
        Sign out
      </Button>
      {signingOut.isError && (
        <Dialog title="You are still signed in" onClose={() => signingOut.reset()}>
          <Problem of={signingOut} />
          <div className="actions">
            <Button kind="primary" onPress={() => signingOut.reset()}>
              Close
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
