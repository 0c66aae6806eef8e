import { blockAround, type IsFree } from "./choice";
import type { Layout, Seat } from "./layout";

/** The maximum number of seats in a hold, as in inventory. */
export const MOST_SEATS = 10;

export interface Click {
  chosen: string[];
  /** Set if the party does not fit here in adjacent seats. */
  remark: "not-together" | null;
}

/**
 * The selection after a click on a seat. A complete party moves here as a block; an incomplete one gets this seat; a
 * click on a selected seat removes it.
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
