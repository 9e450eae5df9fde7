/** Every version of one model, with what was measured of each; an earlier one can be put back into force. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ask, query, type Model, type Page } from "../../api.ts";
import { Button } from "../../parts/controls.tsx";
import { Problem } from "../../parts/problem.tsx";
import { Answered } from "../../parts/states.tsx";
import { Time } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { qualityOf } from "./quality.ts";

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
  const promoting = useMutation({
    mutationFn: (id: number) => ask<Model>(`/api/model-training/${id}/promote`, { method: "POST" }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.models }),
  });
  return (
    <Answered what="the versions" query={versions}>
      {({ results }) => (
        <>
          <Problem of={promoting} />
          <ul className="versions" aria-label={`Versions of ${model.model_name}`}>
            {results.map((one) => (
              <Version
                key={one.id}
                model={one}
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

function Version({ model, use, isBusy }: { model: Model; use?: () => void; isBusy?: boolean }) {
  const { value, words } = qualityOf(model);
  return (
    <li>
      <strong>v{model.version}</strong>
      <span className="quiet">
        <Time at={model.trained_at} />, by {model.trigger}
        {model.due_because !== null && `: ${model.due_because}`}
      </span>
      <span className="bar" aria-hidden="true">
        <span style={{ width: `${Math.max(0, Math.min(1, value ?? 0)) * 100}%` }} />
      </span>
      <span>{words}</span>
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
