/** What a sensor is judged, followed and corrected by. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ask, query, type Calibration, type Model, type Page, type Sensor } from "../../api.ts";
import { formatCount, formatValue } from "../../format.ts";
import { Card } from "../../parts/card.tsx";
import { Answered } from "../../parts/states.tsx";
import { Age, Time } from "../../parts/time.tsx";
import { keys } from "../../queries.ts";
import { useMay } from "../../session.tsx";
import { SensorFalseAlarms } from "../models/false-alarms.tsx";
import { algorithmWord, qualityOf } from "../models/quality.ts";

const CALIBRATIONS_SHOWN = 6;

export function ModelsInUse({ sensor }: { sensor: Sensor }) {
  const sensorId = sensor.id;
  const models = useQuery({
    queryKey: [...keys.models, { sensor_id: sensorId, current: true }],
    queryFn: ({ signal }) =>
      ask<Page<Model>>(`/api/model-training/${query({ sensor_id: sensorId, current: true })}`, { signal }),
  });
  return (
    <Card
      title="Models in use"
      actions={
        <Link to="/models" search={{ sensor: sensorId }}>
          Versions
        </Link>
      }
    >
      <Answered what="the models" query={models}>
        {({ results }) => (
          <ul className="side-list">
            {results.length === 0 && (
              <li className="quiet">None yet: simple rules judge until there is enough data to train on.</li>
            )}
            {results.map((model) => (
              <li key={model.id}>
                <div>
                  <strong className="capital">{model.model_type}</strong> v{model.version},{" "}
                  {algorithmWord(model.algorithm)}
                </div>
                <div className="quiet">
                  trained <Age at={model.trained_at} /> on {formatCount(model.samples)} samples; {qualityOf(model)}
                </div>
              </li>
            ))}
            <SensorFalseAlarms sensor={sensor} />
          </ul>
        )}
      </Answered>
    </Card>
  );
}

export function CalibrationsRecorded({
  calibrations,
  sensor: { id, unit },
}: {
  calibrations: { data: Page<Calibration> | undefined; isPending: boolean; error: unknown; refetch: () => unknown };
  sensor: Sensor;
}) {
  const may = useMay();
  return (
    <Card
      title="Calibrations"
      actions={
        may.operate && (
          <Link to="/calibrations" search={{ record: id }}>
            Record one
          </Link>
        )
      }
    >
      <Answered what="the calibrations" query={calibrations}>
        {({ count, results }) =>
          count === 0 ? (
            <p className="card-body quiet">None recorded: corrected values are the measured ones.</p>
          ) : (
            <ul className="side-list">
              {results.slice(0, CALIBRATIONS_SHOWN).map((one) => (
                <li key={one.id}>
                  <div>
                    <Time at={one.applied_at} />, {one.method}
                  </div>
                  <div className="quiet">
                    {one.raw_value === null ? "no reading before it" : `measured ${formatValue(one.raw_value)} ${unit}`}
                    , reference {formatValue(one.corrected_value)} {unit}
                  </div>
                </li>
              ))}
              {count > CALIBRATIONS_SHOWN && <li className="quiet">and {count - CALIBRATIONS_SHOWN} earlier ones</li>}
            </ul>
          )
        }
      </Answered>
    </Card>
  );
}
