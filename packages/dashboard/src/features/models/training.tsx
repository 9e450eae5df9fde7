/** A training under way: how far it is, and what could not be trained and why. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { ProgressBar } from "react-aria-components";
import { ask } from "../../api.ts";
import { Button } from "../../parts/controls.tsx";
import { Answered } from "../../parts/states.tsx";
import { keys } from "../../queries.ts";

const LOOK_MS = 700;

interface Job {
  status: "running" | "finished";
  done: number;
  total: number;
  results: { sensor_id: number; results: Record<string, { status: string; error?: string }> }[];
}

export function Training({ jobId, onClose }: { jobId: string; onClose: () => void }) {
  const client = useQueryClient();
  const job = useQuery({
    queryKey: ["job", jobId],
    queryFn: ({ signal }) => ask<Job>(`/api/model-training/jobs/${jobId}/`, { signal }),
    refetchInterval: ({ state }) => (state.data?.status === "finished" ? false : LOOK_MS),
  });
  const isFinished = job.data?.status === "finished";
  useEffect(() => {
    if (!isFinished) return;
    void client.invalidateQueries({ queryKey: keys.models });
    void client.invalidateQueries({ queryKey: keys.runs });
  }, [client, isFinished]);
  return (
    <section className="card card-body training" aria-label="Training">
      <Answered what="the training" query={job}>
        {({ done, total, results }) => {
          const outcomes = results.flatMap(({ sensor_id: sensorId, results: own }) =>
            Object.entries(own).map(([type, outcome]) => ({ sensorId, type, ...outcome })),
          );
          const count = (status: string) => outcomes.filter((one) => one.status === status).length;
          const failed = outcomes.filter(({ status }) => status === "failed");
          return (
            <>
              <div className="training-head">
                <strong role="status">
                  {isFinished
                    ? `Finished: ${count("trained")} trained, ${count("insufficient_data")} short of data, ${failed.length} failed`
                    : `Training ${done} of ${total}…`}
                </strong>
                <Button kind="plain" onPress={onClose}>
                  Close
                </Button>
              </div>
              <ProgressBar
                value={done}
                maxValue={Math.max(1, total)}
                valueLabel={`${done} of ${total}`}
                aria-label="Models trained"
              >
                {({ percentage }) => (
                  <div className="bar">
                    <span style={{ width: `${percentage ?? 0}%` }} />
                  </div>
                )}
              </ProgressBar>
              {failed.length > 0 && (
                <ul className="rules">
                  {failed.map(({ sensorId, type, error }) => (
                    <li key={`${sensorId} ${type}`}>
                      {type} of sensor {sensorId}: {error}
                    </li>
                  ))}
                </ul>
              )}
            </>
          );
        }}
      </Answered>
    </section>
  );
}
