import { blockAround, type IsFree } from "./choice";
import type { Layout, Seat } from "./layout";

/** The most seats of one hold, as inventory has it. */
export const MOST_SEATS = 10;

export interface Click {
  chosen: string[];
  /** Why it is not what the visitor may have meant: the party does not fit here side by side. */
  remark: "not-together" | null;
}

/**
 * What is chosen after a click on a seat. A party that is complete moves here as a block; one that is not gets this seat;
 * a click on a chosen seat gives it up.
 */
export function afterClick(
  layout: Layout,
  isFree: IsFree,
  chosen: readonly string[],
  seat: Seat,
  party: number,
): Click {
  const id = seat.seat_id;
  if (chosen.includes(id)) return { chosen: chosen.filter((each) => each !== id), remark: null };
  if (chosen.length > 0 && chosen.length < party) return { chosen: [...chosen, id], remark: null };
  const block = blockAround(layout, isFree, seat, party);
  if (block) return { chosen: block.map((each) => each.seat_id), remark: null };
  return { chosen: [id], remark: "not-together" };
}
