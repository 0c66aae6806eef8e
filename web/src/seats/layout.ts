import type { Schemas } from "../api/client";

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

/** The rows in order from the screen, each with its seats from left to right. */
export function rows(layout: Layout): { row: string; seats: Seat[] }[] {
  const byRow = new Map<string, Seat[]>();
  for (const seat of layout.seats) byRow.set(seat.row, [...(byRow.get(seat.row) ?? []), seat]);
  return [...byRow]
    .map(([row, seats]) => ({ row, seats: seats.sort((one, other) => one.x - other.x) }))
    .sort((one, other) => (one.seats[0]?.y ?? 0) - (other.seats[0]?.y ?? 0));
}
