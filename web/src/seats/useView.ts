import { type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import {
  type Box,
  clamp,
  closeUp,
  fitted,
  type Point,
  pan,
  READABLE_PX,
  type Size,
  UNIT,
  type View,
  zoom,
} from "./geometry";

const DRAG_PX = 8;
const STEP = 1.6;

/** Called on every change of the view, outside React's rendering. */
export type OnView = (view: View, size: Size) => void;

export interface MapView {
  isZoomed: boolean;
  zoomIn: () => void;
  zoomOut: () => void;
  showAll: () => void;
  /** Zoom in on a point of the drawing. */
  look: (at: Point) => void;
  /** Scroll a point into view if needed. */
  reveal: (at: Point) => void;
  /** The current width of a seat in pixels. */
  seatPx: () => number;
  /** Whether the gesture that just ended moved the map, so that its click must be ignored. */
  wasDragged: () => boolean;
  view: () => View;
}

/** The visible part of an auditorium in an SVG: zoom and pan by buttons, wheel, pinch and drag, without rendering. */
export function useView(svg: RefObject<SVGSVGElement | null>, box: Box, onView: OnView): MapView {
  const state = useRef<{ view: View; size: Size }>({ view: { x: 0, y: 0, scale: 1 }, size: { width: 1, height: 1 } });
  const moved = useRef(false);
  const [isZoomed, setZoomed] = useState(false);
  const latest = useRef(onView);
  latest.current = onView;

  const show = useCallback(
    (view: View) => {
      const { size } = state.current;
      state.current.view = view;
      const shown = `${view.x} ${view.y} ${size.width / view.scale} ${size.height / view.scale}`;
      svg.current?.setAttribute("viewBox", shown);
      svg.current?.setAttribute("data-detail", String(view.scale * UNIT >= READABLE_PX));
      setZoomed(view.scale > fitted(box, size).scale * 1.05);
      latest.current(view, size);
    },
    [svg, box],
  );

  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    let isFirst = true;
    const watching = new ResizeObserver(() => {
      const { width, height } = element.getBoundingClientRect();
      if (!width || !height) return;
      const { view, size } = state.current;
      const isWhole = isFirst || view.scale <= fitted(box, size).scale * 1.01;
      state.current.size = { width, height };
      show(isWhole ? fitted(box, { width, height }) : clamp(view, box, { width, height }));
      isFirst = false;
    });
    watching.observe(element);
    const stop = gestures(element, state.current, box, show, moved);
    return () => {
      watching.disconnect();
      stop();
    };
  }, [svg, box, show]);

  return useMemo(() => {
    const centre = () => ({ x: state.current.size.width / 2, y: state.current.size.height / 2 });
    const by = (factor: number) => show(zoom(state.current.view, factor, centre(), box, state.current.size));
    return {
      isZoomed,
      zoomIn: () => by(STEP),
      zoomOut: () => by(1 / STEP),
      showAll: () => show(fitted(box, state.current.size)),
      look: (at) => show(closeUp(at, box, state.current.size)),
      reveal: (at) => {
        const { view, size } = state.current;
        const margin = UNIT;
        const isIn =
          at.x - margin > view.x &&
          at.y - margin > view.y &&
          at.x + margin < view.x + size.width / view.scale &&
          at.y + margin < view.y + size.height / view.scale;
        if (isIn) return;
        const half = { x: size.width / view.scale / 2, y: size.height / view.scale / 2 };
        show(clamp({ scale: view.scale, x: at.x - half.x, y: at.y - half.y }, box, size));
      },
      seatPx: () => state.current.view.scale * UNIT,
      wasDragged: () => moved.current,
      view: () => state.current.view,
    };
  }, [isZoomed, show, box]);
}

/** Handles dragging, pinching, and the wheel with Ctrl (a touchpad's pinch). Returns a function that stops it. */
function gestures(
  element: SVGSVGElement,
  state: { view: View; size: Size },
  box: Box,
  show: (view: View) => void,
  moved: { current: boolean },
): () => void {
  const pointers = new Map<number, Point>();
  const at = (event: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const isWhole = () => state.view.scale <= fitted(box, state.size).scale * 1.01;
  const spread = () => {
    const [one, other] = [...pointers.values()];
    if (!one || !other) return null;
    return {
      apart: Math.hypot(one.x - other.x, one.y - other.y),
      middle: { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 },
    };
  };
  let start: Point = { x: 0, y: 0 };

  const down = (event: PointerEvent) => {
    if (pointers.size === 0) {
      moved.current = false;
      start = at(event);
    }
    pointers.set(event.pointerId, at(event));
  };
  const move = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    const old = spread();
    if (pointers.size === 1) {
      if (!moved.current && Math.hypot(now.x - start.x, now.y - start.y) < DRAG_PX) return;
      moved.current = true;
      if (isWhole()) return;
      if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
      show(pan(state.view, now.x - before.x, now.y - before.y, box, state.size));
    }
    pointers.set(event.pointerId, now);
    const next = spread();
    if (old && next) {
      moved.current = true;
      const panned = pan(state.view, next.middle.x - old.middle.x, next.middle.y - old.middle.y, box, state.size);
      show(zoom(panned, next.apart / old.apart, next.middle, box, state.size));
    }
  };
  const up = (event: PointerEvent) => pointers.delete(event.pointerId);
  const wheel = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    show(zoom(state.view, Math.exp(-event.deltaY / 200), at(event), box, state.size));
  };

  const listening = new AbortController();
  const { signal } = listening;
  element.addEventListener("pointerdown", down, { signal });
  element.addEventListener("pointermove", move, { signal });
  for (const end of ["pointerup", "pointercancel", "pointerleave"] as const)
    element.addEventListener(end, up, { signal });
  element.addEventListener("wheel", wheel, { signal, passive: false });
  return () => listening.abort();
}
