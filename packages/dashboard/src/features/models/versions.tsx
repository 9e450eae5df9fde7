/** Every version of one model, with what was measured of each; an earlier one can be put back into force. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { ask, PAGE_MAX, query, type Model, type Page, type Promotion } from "../../api.ts";
import { Button } from "../../parts/controls.tsx";
import { Problem } from "../../parts/problem.tsx";
import { Answered } from "../../parts/states.tsx";
import { Time } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { figureOf, FIGURES, qualityOf } from "./quality.ts";
import { VersionsChart } from "./versions-chart.tsx";

const VERSIONS_SHOWN = 50;

export function Versions({ model }: { model: Model }) {
  const client = useQueryClient();
  const may = useMay();
  const versions = useQuery({
    queryKey: [...keys.models, "versions", model.sensor_id, model.model_type],
    queryFn: ({ signal }) => {
      const asked = query({ sensor_id: model.sensor_id, model_type: model.model_type, limit: VERSIONS_SHOWN });
      return ask<Page<Model>>(`/api/model-training/${asked}`, { signal });
    },
  });
  const promotions = useQuery({
    queryKey: [...keys.models, "promotions", model.sensor_id, model.model_type],
    queryFn: ({ signal }) => {
      const asked = query({ sensor_id: model.sensor_id, model_type: model.model_type, limit: PAGE_MAX });
      return ask<Page<Promotion>>(`/api/model-training/promotions/${asked}`, { signal });
    },
  });
  const inForce = useMemo(() => lastPromotions(promotions.data?.results ?? []), [promotions.data]);
  const promoting = useMutation({
    mutationFn: (id: number) => ask<Model>(`/api/model-training/${id}/promote`, { method: "POST" }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.models }),
  });
  return (
    <Answered what="the versions" query={versions}>
      {({ results }) => (
        <>
          <Problem of={promoting} />
          {results.filter(isMeasured).length > 1 && (
            <VersionsChart versions={results} promoted={new Set(inForce.keys())} />
          )}
          <ul className="versions" aria-label={`Versions of ${model.model_name}`}>
            {results.map((one) => (
              <Version
                key={one.id}
                model={one}
                inForceSince={promotions.data === undefined ? undefined : (inForce.get(one.id) ?? null)}
                {...(may.operate && !one.current
                  ? { use: () => promoting.mutate(one.id), isBusy: promoting.isPending }
                  : {})}
              />
            ))}
          </ul>
        </>
      )}
    </Answered>
  );
}

/** One point is no line. */
const isMeasured = (model: Model): boolean => figureOf(model, FIGURES[model.model_type][0]!.metric) !== null;

/** When each model was put in force, the last time; they come newest first. */
function lastPromotions(promotions: readonly Promotion[]): ReadonlyMap<number, string> {
  const last = new Map<number, string>();
  for (const { model_id: id, promoted_at: at } of promotions) if (!last.has(id)) last.set(id, at);
  return last;
}

function Version({
  model,
  inForceSince,
  use,
  isBusy,
}: {
  model: Model;
  /** When it was last put in force; null: never; undefined: not known yet. */
  inForceSince: string | null | undefined;
  use?: () => void;
  isBusy?: boolean;
}) {
  return (
    <li>
      <strong>v{model.version}</strong>
      <span className="quiet">
        Trained <Time at={model.trained_at} /> by {model.trigger}
        {model.due_because !== null && `: ${model.due_because}`}
        {inForceSince === null && "; never put in force"}
        {typeof inForceSince === "string" && (
          <>
            ; {model.current ? "in force since" : "last put in force"} <Time at={inForceSince} />
          </>
        )}
      </span>
      <span>{qualityOf(model)}</span>
      <span className="version-do">
        <a href={`/api/model-training/${model.id}/artifact`} download>
          Download<span className="visually-hidden"> v{model.version}</span>
        </a>
        {model.current && <span className="status is-online">in use</span>}
        {use !== undefined && (
          <Button isBusy={isBusy === true} onPress={use}>
            Use v{model.version}
          </Button>
        )}
      </span>
    </li>
  );
}
