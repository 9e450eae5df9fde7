/** What was measured of each version, as lines over the versions, with those marked that were put in force. */
import { useMemo } from "react";
import type uPlot from "uplot";
import type { Model } from "../../api.ts";
import { Plot, type PlotSeries } from "../../parts/plot.tsx";
import { figureOf, FIGURES } from "./quality.ts";

const HEIGHT_PX = 190;
const COLOURS = ["--series-raw", "--series-forecast"];
const KEYS = ["key-raw", "key-forecast-line"];

export function VersionsChart({
  versions,
  promoted,
}: {
  /** Newest first. */
  versions: readonly Model[];
  /** Ids of those that were in force at some time. */
  promoted: ReadonlySet<number>;
}) {
  const figures = FIGURES[versions[0]!.model_type];
  const current = versions.find((one) => one.current);
  const data = useMemo((): uPlot.AlignedData => {
    const inOrder = versions.toReversed();
    const percent = (model: Model, metric: string) => {
      const share = figureOf(model, metric);
      return share === null ? null : share * 100;
    };
    const first = inOrder.map((model) => percent(model, figures[0]!.metric));
    return [
      inOrder.map(({ version }) => version),
      ...figures.map(({ metric }) => inOrder.map((model) => percent(model, metric))),
      inOrder.map(({ id }, index) => (promoted.has(id) ? first[index]! : null)),
      inOrder.map((model, index) => (model.current ? first[index]! : null)),
    ];
  }, [versions, promoted, figures]);
  const series = useMemo(
    (): PlotSeries[] => [
      ...figures.map(({ name }, index) => ({ label: name, colour: COLOURS[index]!, points: true })),
      { label: "put in force", colour: "--ink", rings: true },
      { label: "in use", colour: "--online", dots: true },
    ],
    [figures],
  );
  return (
    <figure className="versions-chart">
      <figcaption>
        <ul className="legend">
          {figures.map(({ name }, index) => (
            <li key={name} className={KEYS[index]}>
              {name}
            </li>
          ))}
          <li className="key-ring">put in force</li>
          <li className="key-current key-dot">in use</li>
        </ul>
      </figcaption>
      <Plot
        label={`${figures.map(({ name }) => name).join(" and ")}, in percent, of versions ${versions.at(-1)!.version} to ${versions[0]!.version}; ${current === undefined ? "none is in use" : `version ${current.version} is in use`}`}
        x="version"
        y="%"
        isPercent
        isCounted
        heightPx={HEIGHT_PX}
        series={series}
        data={data}
      />
    </figure>
  );
}
