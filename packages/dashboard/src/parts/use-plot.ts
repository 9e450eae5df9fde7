/** A uPlot that lives as long as its place on the page, follows its width, and is made anew where its looks change. */
import { useLayoutEffect, useRef, useState, useSyncExternalStore, type RefObject } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const dark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = (changed: () => void) => {
  dark.addEventListener("change", changed);
  return () => dark.removeEventListener("change", changed);
};

export interface Size {
  width: number;
  height: number;
}

export interface PlotLife {
  host: RefObject<HTMLDivElement | null>;
  /** Null before it is made; another one after the theme changed. */
  plot: uPlot | null;
}

/** @param shape what the options follow from, beside the theme: another one makes another plot. */
export function usePlot(
  shape: string,
  sizeOf: (element: HTMLElement) => Size,
  make: (element: HTMLElement) => { options: Omit<uPlot.Options, "width" | "height">; data: uPlot.AlignedData },
): PlotLife {
  const host = useRef<HTMLDivElement>(null);
  const [plot, setPlot] = useState<uPlot | null>(null);
  const isDark = useSyncExternalStore(followTheme, () => dark.matches);
  useLayoutEffect(() => {
    const element = host.current!;
    const { options, data } = make(element);
    const made = new uPlot({ ...options, ...sizeOf(element) }, data, element);
    setPlot(made);
    const resized = new ResizeObserver(() => made.setSize(sizeOf(element)));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      setPlot(null);
    };
  }, [shape, isDark]);
  return { host, plot };
}

/** The colours of main.css, and how every axis looks. */
export function looksOf(element: HTMLElement) {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--quiet"),
    font: "12px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif",
    labelSize: 18,
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { stroke: colour("--grid"), width: 1 },
  };
  return { colour, axis };
}
