// Seat proposals, as pure functions over the free seats. The service decides when it holds them.

import { type Layout, middle, RESERVED, runs, type Seat } from "./layout";

export type IsFree = (seatId: string) => boolean;

/** A proposal; `isTogether` is false when the party has to split. */
export interface Proposal {
  seats: Seat[];
  isTogether: boolean;
}

const STRANDED = 1.5;
const PER_ROW = 1.25;

/**
 * All free blocks of `count` adjacent seats, which divide no couch. They contain reserved places only if `reserved` is
 * set.
 */
function* blocks(layout: Layout, isFree: IsFree, count: number, reserved = false): Generator<Seat[]> {
  const usable = (seat: Seat) => isFree(seat.seat_id) && (reserved || !RESERVED.includes(seat.category));
  for (const run of runs(layout)) {
    for (let start = 0; start + count <= run.length; start++) {
      const block = run.slice(start, start + count);
      if (block.every(usable) && isWhole(block)) yield block;
    }
  }
}

/** Whether the seats include both halves of each couch that is sold only whole. */
function isWhole(block: readonly Seat[]): boolean {
  const pairs = block.flatMap((seat) => seat.pair ?? []);
  return pairs.every((id) => block.some((seat) => seat.seat_id === id));
}

/** The number of single free seats that a block would leave next to it. */
export function strandedBy(layout: Layout, isFree: IsFree, block: readonly Seat[]): number {
  const ids = new Set(block.map((seat) => seat.seat_id));
  const run = runs(layout).find((each) => each.some((seat) => ids.has(seat.seat_id))) ?? [];
  const isOpen = (index: number) => {
    const seat = run[index];
    return seat !== undefined && isFree(seat.seat_id) && !ids.has(seat.seat_id);
  };
  const edges = run.flatMap((seat, index) => (ids.has(seat.seat_id) ? [index - 1, index + 1] : []));
  return edges.filter((index) => isOpen(index) && !isOpen(index - 1) && !isOpen(index + 1)).length;
}

function distance(block: readonly Seat[], goal: { x: number; y: number }): number {
  const { x, y } = middle(block);
  return Math.hypot(x - goal.x, (y - goal.y) * PER_ROW);
}

function best(candidates: Iterable<Seat[]>, cost: (block: Seat[]) => number): Seat[] | null {
  let chosen: Seat[] | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const block of candidates) {
    const price = cost(block);
    if (price < least) [chosen, least] = [block, price];
  }
  return chosen;
}

/** The point with the best view: the layout's focal point, else two thirds back in the middle. */
export function focalPoint(layout: Layout): { x: number; y: number } {
  return layout.focal_point ?? { x: layout.columns / 2, y: (layout.rows * 2) / 3 };
}

/** The best free seats for a party: adjacent and near the focal point, or else split into as few groups as possible. */
export function bestAvailable(
  layout: Layout,
  isFree: IsFree,
  count: number,
  goal = focalPoint(layout),
): Proposal | null {
  const cost = (block: Seat[]) => distance(block, goal) + STRANDED * strandedBy(layout, isFree, block);
  const together = best(blocks(layout, isFree, count), cost);
  if (together) return { seats: together, isTogether: true };
  for (let size = count - 1; size >= 1; size--) {
    const part = best(blocks(layout, isFree, size), cost);
    if (!part) continue;
    const taken = new Set(part.map((seat) => seat.seat_id));
    const rest = bestAvailable(layout, (id) => isFree(id) && !taken.has(id), count - size, middle(part));
    return rest && { seats: [...part, ...rest.seats], isTogether: false };
  }
  return null;
}

/** The best block of `count` free seats that contains this one and leaves the fewest single seats; null if none. */
export function blockAround(layout: Layout, isFree: IsFree, seat: Seat, count: number): Seat[] | null {
  const goal = focalPoint(layout);
  const isReserved = RESERVED.includes(seat.category);
  const withSeat = [...blocks(layout, isFree, count, isReserved)].filter((block) => block.includes(seat));
  return best(
    withSeat,
    (block) => STRANDED * 10 * strandedBy(layout, isFree, block) + Math.abs(middle(block).x - goal.x),
  );
}

/** A replacement for lost seats: as many others, adjacent if possible, and as near as possible. */
export function alternative(layout: Layout, isFree: IsFree, lost: readonly Seat[]): Proposal | null {
  return lost.length ? bestAvailable(layout, isFree, lost.length, middle(lost)) : null;
}

/** Free companion seats next to the selected wheelchair spaces. */
export function companions(layout: Layout, isFree: IsFree, chosen: readonly Seat[]): Seat[] {
  const places = chosen.filter((seat) => seat.category === "wheelchair");
  return layout.seats.filter(
    (seat) =>
      seat.category === "companion" &&
      isFree(seat.seat_id) &&
      !chosen.includes(seat) &&
      places.some((place) => place.y === seat.y && Math.abs(place.x - seat.x) <= 1.01),
  );
}
