/** What a calibration would change: the curve through its points, and the last day as it would be corrected. */
import { useMemo } from "react";
import uPlot from "uplot";
import type { Bucket, Calibration } from "../../api.ts";
import { formatValue } from "../../format.ts";
import { Plot, type PlotSeries } from "../../parts/plot.tsx";
import { pairOf, previewOf, type Method } from "./params.ts";

const CURVE_POINTS = 60;
/** The curve goes on beyond the outermost points by this share of their span. */
const MARGIN = 0.08;

const FIT: readonly PlotSeries[] = [
  { label: "fit", colour: "--series-corrected" },
  { label: "earlier", colour: "--series-raw", dots: true },
  { label: "this one", colour: "--critical", dots: true },
];
const DAY: readonly PlotSeries[] = [
  { label: "measured", colour: "--series-raw" },
  { label: "corrected", colour: "--series-corrected" },
];
/** Too few readings for a line that anybody would see. */
const LONE_DAY: readonly PlotSeries[] = DAY.map((one) => ({ ...one, dots: true }));
const LONE_MAX = 3;

export function Preview({
  unit,
  method,
  params,
  earlier,
  raw,
  reference,
  day,
}: {
  unit: string;
  method: Method;
  params: object | null;
  earlier: readonly Calibration[];
  /** What the sensor says, and what the reference said; null while that is not known. */
  raw: number | null;
  reference: number | null;
  day: readonly Bucket[];
}) {
  const given = params === null ? null : JSON.stringify(params);
  const { how, fit, corrected, shift } = useMemo(() => {
    const added = raw === null || reference === null ? null : { raw, corrected: reference };
    const { correct, how: by } = previewOf(
      method,
      given === null ? null : (JSON.parse(given) as object),
      earlier,
      added,
    );
    const means = day.map(({ mean }) => mean);
    const moved = means.map(correct);
    const sum = moved.reduce((total, value, index) => total + value - means[index]!, 0);
    return {
      how: by,
      fit: fitData(earlier.flatMap(pairOf), added, means, correct),
      corrected: [day.map(({ timestamp }) => Date.parse(timestamp) / 1000), means, moved] as uPlot.AlignedData,
      shift: means.length === 0 ? null : sum / means.length,
    };
  }, [method, given, earlier, raw, reference, day]);
  return (
    <div className="previews">
      <p>
        Corrected {how}.{shift !== null && ` The last day moves by ${formatValue(shift)} ${unit} on average.`}
      </p>
      {fit !== null && (
        <figure>
          <figcaption>
            <ul className="legend" aria-label="The fit">
              <li className="key-corrected">the fit</li>
              {earlier.length > 0 && <li className="key-raw key-dot">earlier calibrations</li>}
              {reference !== null && <li className="key-alarm key-dot">this one</li>}
            </ul>
          </figcaption>
          <Plot
            label="The fit drawn over its points"
            x={`measured, ${unit}`}
            y={`correct, ${unit}`}
            series={FIT}
            data={fit}
          />
        </figure>
      )}
      {day.length > 0 && (
        <figure>
          <figcaption>
            <ul className="legend" aria-label="The last day">
              <li className="key-raw">the last day as measured</li>
              <li className="key-corrected">as it would be corrected</li>
            </ul>
          </figcaption>
          <Plot
            label={`The last day as measured and as it would be corrected, in ${unit}`}
            x=""
            y={unit}
            isTime
            series={day.length <= LONE_MAX ? LONE_DAY : DAY}
            data={corrected}
          />
        </figure>
      )}
    </div>
  );
}

interface Pair {
  raw: number;
  corrected: number;
}

function fitData(
  pairs: readonly Pair[],
  added: Pair | null,
  means: readonly number[],
  correct: (raw: number) => number,
): uPlot.AlignedData | null {
  const places = [...pairs.map(({ raw }) => raw), ...(added === null ? [] : [added.raw]), ...means];
  if (places.length === 0) return null;
  const low = places.reduce((least, place) => Math.min(least, place), Infinity);
  const high = places.reduce((most, place) => Math.max(most, place), -Infinity);
  const margin = (high - low || Math.abs(high) || 1) * MARGIN;
  const step = (high - low + 2 * margin) / (CURVE_POINTS - 1);
  const curve = Array.from({ length: CURVE_POINTS }, (_, n) => low - margin + step * n);
  // Two calibrations at the very same reading are one place on the axis.
  const sorted = pairs.toSorted((a, b) => a.raw - b.raw).filter(({ raw }, index, all) => raw !== all[index - 1]?.raw);
  return uPlot.join([
    [curve, curve.map(correct)],
    [sorted.map(({ raw }) => raw), sorted.map(({ corrected }) => corrected)],
    added === null ? [[], []] : [[added.raw], [added.corrected]],
  ]);
}
