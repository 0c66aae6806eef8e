import type { Schemas } from "../api/client";
import { grouped } from "../lib/group";

export type Layout = Schemas["InventoryLayoutResponse"];
export type Seat = Schemas["InventoryPlacedSeat"];
export type Hold = Schemas["InventoryHoldResponse"];

/** Categories that are reserved for people who need them and are not proposed to others. */
export const RESERVED = ["wheelchair", "companion"];

/** Runs of adjacent seats: seats of one row without a gap, from left to right. */
export function runs(layout: Layout): Seat[][] {
  const ordered = [...layout.seats].sort((one, other) => one.y - other.y || one.x - other.x);
  const found: Seat[][] = [];
  for (const seat of ordered) {
    const run = found.at(-1);
    const left = run?.at(-1);
    if (run && left && left.row === seat.row && left.y === seat.y && Math.abs(seat.x - left.x - 1) < 0.01)
      run.push(seat);
    else found.push([seat]);
  }
  return found;
}

/** The center of some seats, in units of a seat. */
export function middle(seats: readonly Seat[]): { x: number; y: number } {
  const sum = seats.reduce((total, seat) => ({ x: total.x + seat.x + 0.5, y: total.y + seat.y + 0.5 }), { x: 0, y: 0 });
  return { x: sum.x / seats.length, y: sum.y / seats.length };
}

/** A row of an area: its name, its place in the drawing and its seats from left to right. */
export interface Row {
  area: string;
  row: string;
  y: number;
  seats: Seat[];
}

/** The rows from the top of the drawing. Each area has its own: two may have a row A. */
export function rows(layout: Layout): Row[] {
  const lines = grouped(layout.seats, (seat) => `${seat.area ?? ""}\n${seat.row}`);
  return [...lines.values()]
    .map((seats) => seats.sort((one, other) => one.x - other.x))
    .flatMap((seats) => seats.slice(0, 1).map(({ area, row, y }) => ({ area: area ?? "", row, y, seats })))
    .sort((one, other) => one.y - other.y);
}

/** The height that the name of an area needs, in units of a seat. */
const NAME_HEIGHT = 1;

/** The first row of each area, whose name is drawn above it. */
export const firstRows = (lines: readonly Row[]): Row[] =>
  lines.filter(({ area }, index) => area && area !== lines[index - 1]?.area);

/** The layout with room above the first row of each area for its name. An aisle is room enough. */
export function withRoomForNames(layout: Layout): Layout {
  const lines = rows(layout);
  const shifts = firstRows(lines).map(({ y }) => {
    const above = lines.filter((line) => line.y < y).at(-1);
    return { y, by: Math.max(0, NAME_HEIGHT - (above ? y - above.y - 1 : 0)) };
  });
  const shift = (y: number) => shifts.reduce((sum, each) => (each.y <= y ? sum + each.by : sum), y);
  const { seats, focal_point } = layout;
  return {
    ...layout,
    seats: seats.map((seat) => ({ ...seat, y: shift(seat.y) })),
    focal_point: focal_point && { ...focal_point, y: shift(focal_point.y) },
  };
}

/** The seat and, if it is half of a couch that is sold only whole, the other half. */
export const wholeOf = (layout: Layout, seat: Seat): Seat[] =>
  layout.seats.filter((each) => each === seat || each.seat_id === seat.pair);
