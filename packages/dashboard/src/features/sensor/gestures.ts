/**
 * Moving in time with wheel, fingers and mouse. What is shown follows at once, on the readings that are there; the page is
 * told of the new range a few times a second, and asks for what is missing.
 */
import type uPlot from "uplot";
import { moved, panned, stretched, zoomed, type Range } from "./range.ts";

/** The page is told so often while a gesture lasts: each telling asks for readings. */
const TELL_MS = 250;
const WHEEL_ZOOM = 1.25;
const WHEEL_PAN = 0.05;

export interface Gesture {
  /** What is shown while a gesture lasts; null otherwise. */
  shown: Range | null;
}

interface Finger {
  x: number;
  y: number;
}

export function listenForGestures(
  u: uPlot,
  {
    gesture,
    range,
    show,
    tell,
  }: {
    gesture: Gesture;
    /** What the page shows. */
    range: () => Range;
    show: (range: Range) => void;
    tell: (range: Range) => void;
  },
): () => void {
  const { over } = u;
  let due: ReturnType<typeof setTimeout> | undefined;
  let frame = 0;
  const now = (): Range => gesture.shown ?? range();
  /** Places across the plot, 0 to 1. */
  const place = (clientX: number): number => {
    const { left, width } = over.getBoundingClientRect();
    return (clientX - left) / width;
  };
  const tellNow = (): void => {
    clearTimeout(due);
    due = undefined;
    if (gesture.shown !== null) tell(gesture.shown);
  };
  const go = (to: Range): void => {
    gesture.shown = to;
    if (frame === 0)
      frame = requestAnimationFrame(() => {
        frame = 0;
        if (gesture.shown !== null) show(gesture.shown);
      });
    due ??= setTimeout(() => {
      tellNow();
      // Nobody moves any more: from here on the page says what is shown.
      if (fingers.size === 0) gesture.shown = null;
    }, TELL_MS);
  };

  const fingers = new Map<number, Finger>();
  const pressed = (event: PointerEvent): void => {
    if (event.pointerType === "mouse" && !event.shiftKey) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (event.pointerType === "mouse") over.setPointerCapture(event.pointerId);
  };
  const dragged = (event: PointerEvent): void => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const after = { x: event.clientX, y: event.clientY };
    fingers.set(event.pointerId, after);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    go(
      other === undefined
        ? moved(now(), place(before.x), place(after.x))
        : stretched(now(), [place(before.x), place(other.x)], [place(after.x), place(other.x)]),
    );
  };
  const released = (event: PointerEvent): void => {
    if (!fingers.delete(event.pointerId) || fingers.size > 0) return;
    // At once: what somebody chooses next may not be overtaken by where the finger was. One that rested has told already.
    if (due !== undefined) tellNow();
    gesture.shown = null;
  };
  // The page scrolls as ever; with Ctrl (which a pad's pinch sends too) the wheel zooms, sideways it moves in time.
  const turned = (event: WheelEvent): void => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      go(zoomed(now(), event.deltaY > 0 ? WHEEL_ZOOM : 1 / WHEEL_ZOOM, place(event.clientX)));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      go(panned(now(), Math.sign(event.deltaX) * WHEEL_PAN));
    }
  };
  over.addEventListener("pointerdown", pressed);
  over.addEventListener("pointermove", dragged);
  for (const end of ["pointerup", "pointercancel", "pointerleave"] as const) over.addEventListener(end, released);
  over.addEventListener("wheel", turned, { passive: false });
  // The listeners go with the plot's own elements.
  return () => {
    clearTimeout(due);
    cancelAnimationFrame(frame);
    gesture.shown = null;
  };
}
