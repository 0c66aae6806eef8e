// The geometry of the drawing, as pure functions. A seat is UNIT wide; a view is the visible part.

import type { Layout, Seat } from "./layout";

export const UNIT = 40;
/** The minimum width of a touch target after zooming in: 44 px (WCAG 2.5.5). */
export const TARGET_PX = 44;
/** From this width, a seat can be tapped and its number read without zooming in. */
export const READABLE_PX = 21;

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

/** The visible part of the drawing: its upper left corner, and pixels per unit of the drawing. */
export interface View extends Point {
  scale: number;
}

const MARGIN = { side: 1.1, screen: 1.9, far: 0.35 };

/** The whole auditorium: its seats, the row letters on both sides and the screen. */
export function hall(layout: Layout): Box {
  const xs = layout.seats.map((seat) => seat.x);
  const ys = layout.seats.map((seat) => seat.y);
  const side = layout.screen ?? "top";
  const before = (edge: string, other: number) => (side === edge ? MARGIN.screen : other);
  const left = Math.min(...xs) - Math.max(MARGIN.side, before("left", 0));
  const right = Math.max(...xs) + 1 + Math.max(MARGIN.side, before("right", 0));
  const top = Math.min(...ys) - before("top", MARGIN.far);
  const bottom = Math.max(...ys) + 1 + before("bottom", MARGIN.far);
  return { x: left * UNIT, y: top * UNIT, width: (right - left) * UNIT, height: (bottom - top) * UNIT };
}

/** The view that shows the whole box, centered. */
export function fitted(box: Box, size: Size): View {
  const scale = Math.min(size.width / box.width, size.height / box.height);
  return {
    scale,
    x: box.x - (size.width / scale - box.width) / 2,
    y: box.y - (size.height / scale - box.height) / 2,
  };
}

/** The maximum zoom: a seat is then comfortably larger than a touch target. */
export const largestScale = (box: Box, size: Size): number =>
  Math.max(fitted(box, size).scale, (TARGET_PX * 1.6) / UNIT);

/** The view, moved and scaled as little as needed to keep the auditorium in sight. */
export function clamp(view: View, box: Box, size: Size): View {
  const whole = fitted(box, size);
  const scale = Math.min(Math.max(view.scale, whole.scale), largestScale(box, size));
  return {
    scale,
    x: clampAxis(view.x, size.width / scale, box.x, box.width),
    y: clampAxis(view.y, size.height / scale, box.y, box.height),
  };
}

function clampAxis(at: number, shown: number, from: number, length: number): number {
  if (shown >= length) return from - (shown - length) / 2;
  return Math.min(Math.max(at, from), from + length - shown);
}

/** Zoom by a factor so that what is under `at` (pixels) stays under it. */
export function zoom(view: View, factor: number, at: Point, box: Box, size: Size): View {
  const scale = Math.min(Math.max(view.scale * factor, fitted(box, size).scale), largestScale(box, size));
  const fixed = toDrawing(view, at);
  return clamp({ scale, x: fixed.x - at.x / scale, y: fixed.y - at.y / scale }, box, size);
}

/** Move by pixels. */
export const pan = (view: View, dx: number, dy: number, box: Box, size: Size): View =>
  clamp({ scale: view.scale, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, box, size);

/** The view centered on a point, with seats as large as a touch target. */
export function closeUp(point: Point, box: Box, size: Size): View {
  const scale = Math.max(fitted(box, size).scale, (TARGET_PX * 1.05) / UNIT);
  return clamp({ scale, x: point.x - size.width / scale / 2, y: point.y - size.height / scale / 2 }, box, size);
}

/** Converts pixels from the map's corner to a point of the drawing. */
export const toDrawing = (view: View, at: Point): Point => ({
  x: view.x + at.x / view.scale,
  y: view.y + at.y / view.scale,
});

/** Converts a point of the drawing to pixels from the map's corner. */
export const toScreen = (view: View, at: Point): Point => ({
  x: (at.x - view.x) * view.scale,
  y: (at.y - view.y) * view.scale,
});

/** The part of the drawing that a view shows. */
export const visible = (view: View, size: Size): Box => ({
  x: view.x,
  y: view.y,
  width: size.width / view.scale,
  height: size.height / view.scale,
});

/** The seat at a point of the drawing. Half of the gap between two seats belongs to each. */
export function seatAt(layout: Layout, at: Point): Seat | undefined {
  const x = at.x / UNIT;
  const y = at.y / UNIT;
  return layout.seats.find((seat) => x >= seat.x && x < seat.x + 1 && y >= seat.y && y < seat.y + 1);
}

/** The center of a seat on the drawing. */
export const centre = (seat: Pick<Seat, "x" | "y">): Point => ({ x: (seat.x + 0.5) * UNIT, y: (seat.y + 0.5) * UNIT });

export type Direction = "left" | "right" | "up" | "down";

/** The seat that an arrow key moves to: the next one in the row, or the closest one in the next row. */
export function neighbour(layout: Layout, from: Seat, direction: Direction): Seat | undefined {
  const isSideways = direction === "left" || direction === "right";
  const sign = direction === "right" || direction === "down" ? 1 : -1;
  let best: Seat | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const seat of layout.seats) {
    const ahead = (isSideways ? seat.x - from.x : seat.y - from.y) * sign;
    const aside = Math.abs(isSideways ? seat.y - from.y : seat.x - from.x);
    if (ahead <= 0.01 || (isSideways && aside > 0.01)) continue;
    const distance = ahead * 100 + aside;
    if (distance < least) [best, least] = [seat, distance];
  }
  return best;
}
