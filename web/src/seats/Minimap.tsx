import { type Ref, useImperativeHandle, useMemo, useRef } from "react";
import { type Box, type Point, UNIT } from "./geometry";
import type { Layout } from "./layout";

export interface MinimapHandle {
  /** Mark the visible part of the auditorium. */
  show: (part: Box) => void;
}

interface MinimapProps {
  ref: Ref<MinimapHandle>;
  layout: Layout;
  box: Box;
  isShown: boolean;
  onLook: (at: Point) => void;
}

/** A small map of the auditorium that frames the visible part. A click moves there. Keyboards use the map itself. */
export function Minimap({ ref, layout, box, isShown, onLook }: MinimapProps) {
  const svg = useRef<SVGSVGElement>(null);
  const frame = useRef<SVGRectElement>(null);
  const dots = useMemo(
    () => layout.seats.map((seat) => `M${seat.x * UNIT + 6} ${seat.y * UNIT + 6}h28v28h-28z`).join(""),
    [layout],
  );
  useImperativeHandle(ref, () => ({
    show: (part) => {
      for (const [name, value] of Object.entries(part)) frame.current?.setAttribute(name, String(value));
    },
  }));
  const look = (event: React.MouseEvent) => {
    const area = svg.current?.getBoundingClientRect();
    if (!area) return;
    onLook({
      x: box.x + ((event.clientX - area.left) / area.width) * box.width,
      y: box.y + ((event.clientY - area.top) / area.height) * box.height,
    });
  };
  return (
    <svg
      ref={svg}
      aria-hidden="true"
      viewBox={`${box.x} ${box.y} ${box.width} ${box.height}`}
      onClick={look}
      preserveAspectRatio="none"
      className={`h-11 w-16 shrink-0 rounded-lg border border-line bg-paper ${isShown ? "" : "hidden"}`}
    >
      <path d={dots} className="fill-edge" />
      <rect ref={frame} className="fill-accent/15 stroke-accent" strokeWidth={UNIT * 0.3} rx="8" />
    </svg>
  );
}
