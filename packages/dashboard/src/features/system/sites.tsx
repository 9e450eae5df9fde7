/** The sites, and the false alarms that each of their sensors may raise; an administrator sets those. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask, type Page, type Site } from "../../api.ts";
import { formatCount, formatFigure } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Button, Dialog, TextInput } from "../../parts/controls.tsx";
import { FormEnd } from "../../parts/form-end.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { Table, type Column } from "../../parts/table.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { numberOf } from "../sensor/settings-form.ts";

/** The API's own limit. */
const BUDGET_MAX = 1_000;

const COLUMNS: readonly Column<Site>[] = [
  { name: "Site", cell: ({ site }) => site },
  { name: "Sensors", isNumber: true, cell: ({ sensors }) => formatCount(sensors) },
  {
    name: "False alarms a sensor and month, at most",
    isNumber: true,
    cell: ({ false_alarms_per_month: budget }) => formatFigure(budget),
  },
  {
    name: "With a budget of their own",
    isNumber: true,
    cell: ({ own_budgets: own }) => (own === 0 ? "none" : formatCount(own)),
  },
];

export function Sites() {
  const may = useMay();
  const [changing, setChanging] = useState<Site | null>(null);
  const sites = useQuery({
    queryKey: keys.sites,
    queryFn: ({ signal }) => ask<Page<Site>>("/api/sites/?limit=1000&order=asc", { signal }),
  });
  const actions: Column<Site> = {
    name: "What to do",
    isActions: true,
    cell: (site) => (
      <Button kind="plain" onPress={() => setChanging(site)}>
        Change the budget…<span className="visually-hidden"> of {site.site}</span>
      </Button>
    ),
  };
  return (
    <Card title="Sites and their false-alarm budgets" id="sites">
      <Answered what="the sites" query={sites}>
        {({ results }) =>
          results.length === 0 ? (
            <Empty title="No sites yet">
              <p>A site is there with its first sensor.</p>
            </Empty>
          ) : (
            <Table
              columns={may.administer ? [...COLUMNS, actions] : COLUMNS}
              rows={results}
              keyOf={({ site }) => site}
            />
          )
        }
      </Answered>
      {changing !== null && <ChangeBudget of={changing} onClose={() => setChanging(null)} />}
    </Card>
  );
}

function ChangeBudget({ of: { site, sensors, ...of }, onClose }: { of: Site; onClose: () => void }) {
  const client = useQueryClient();
  const [typed, setTyped] = useState(String(of.false_alarms_per_month));
  const [isTold, setTold] = useState(false);
  const budget = numberOf(typed);
  const isRight = budget > 0 && budget <= BUDGET_MAX;
  const saving = useMutation({
    mutationFn: () =>
      ask(`/api/sites/${encodeURIComponent(site)}/false-alarm-budget/`, {
        method: "PUT",
        body: { false_alarms_per_month: budget },
      }),
    onSuccess: async () => {
      void client.invalidateQueries({ queryKey: keys.models });
      await client.invalidateQueries({ queryKey: keys.sites });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTold(true);
    if (isRight) saving.mutate();
  };
  const own = of.own_budgets;
  return (
    <Dialog title={`False alarms at ${site}`} onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <TextInput
          label="False alarms a sensor and month, at most"
          inputMode="decimal"
          value={typed}
          onChange={setTyped}
          autoFocus
          description="The lower, the fewer; true alarms may then come later, or not at all"
          problem={isTold && !isRight ? `A number above 0, at most ${BUDGET_MAX}` : undefined}
        />
        <p className="quiet">
          It counts at once for {sensors === 1 ? "the only sensor" : `all ${formatCount(sensors)} sensors`} of this
          site, and for those that are made later
          {own > 0 &&
            `. ${own === 1 ? "One has a budget of its own now, which it loses" : `${formatCount(own)} have a budget of their own now, which they lose`}`}
          .
        </p>
        <FormEnd trying={saving} onClose={onClose}>
          Save
        </FormEnd>
      </form>
    </Dialog>
  );
}
