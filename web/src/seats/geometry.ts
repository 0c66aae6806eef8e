// Where things are on the drawing, as pure functions. A seat is UNIT wide; a view says which part is on the screen.

import type { Layout, Seat } from "./layout";

export const UNIT = 40;
/** Touch targets are at least 44 px wide once somebody has zoomed in (WCAG 2.5.5). */
export const TARGET_PX = 44;
/** From this width on a seat can be hit and its number read without zooming in first. */
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

/** The part of the drawing that is shown: its upper left corner, and pixels per unit of the drawing. */
export interface View extends Point {
  scale: number;
}

const MARGIN = { side: 1.1, screen: 1.9, far: 0.35 };

/** All of the hall: its seats, the row letters on both sides and the screen. */
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

/** The view that shows the whole box, in its middle. */
export function fitted(box: Box, size: Size): View {
  const scale = Math.min(size.width / box.width, size.height / box.height);
  return {
    scale,
    x: box.x - (size.width / scale - box.width) / 2,
    y: box.y - (size.height / scale - box.height) / 2,
  };
}

/** How far one can zoom in: until a seat is comfortably larger than a touch target. */
export const largestScale = (box: Box, size: Size): number =>
  Math.max(fitted(box, size).scale, (TARGET_PX * 1.6) / UNIT);

/** The same view, moved as little as needed to keep the hall in sight and never smaller than the whole. */
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

/** Look at a point of the drawing with seats as large as a touch target. */
export function closeUp(point: Point, box: Box, size: Size): View {
  const scale = Math.max(fitted(box, size).scale, (TARGET_PX * 1.05) / UNIT);
  return clamp({ scale, x: point.x - size.width / scale / 2, y: point.y - size.height / scale / 2 }, box, size);
}

/** A place on the screen, in pixels from the map's corner, as a place of the drawing. */
export const toDrawing = (view: View, at: Point): Point => ({
  x: view.x + at.x / view.scale,
  y: view.y + at.y / view.scale,
});

/** A place of the drawing in pixels from the map's corner. */
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

/** The seat at a place of the drawing; half the gap between two seats belongs to each. */
export function seatAt(layout: Layout, at: Point): Seat | undefined {
  const x = at.x / UNIT;
  const y = at.y / UNIT;
  return layout.seats.find((seat) => x >= seat.x && x < seat.x + 1 && y >= seat.y && y < seat.y + 1);
}

/** The seat's middle on the drawing. */
export const centre = (seat: Pick<Seat, "x" | "y">): Point => ({ x: (seat.x + 0.5) * UNIT, y: (seat.y + 0.5) * UNIT });

export type Direction = "left" | "right" | "up" | "down";

/** The seat that an arrow key leads to: the next one of the row, or the closest one of the next row. */
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
