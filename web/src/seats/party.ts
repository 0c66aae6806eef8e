import { blockAround, type IsFree } from "./choice";
import { type Layout, type Seat, wholeOf } from "./layout";

/** The maximum number of seats in a hold, as in inventory. */
export const MOST_SEATS = 10;

export interface Click {
  chosen: string[];
  /** Set if the party does not fit here in adjacent seats, or if one person got a couch for two. */
  remark: "not-together" | "couch" | null;
}

/**
 * The selection after a click on a seat. A complete party moves here as a block; an incomplete one gets this seat; a
 * click on a selected seat removes it. A couch that is sold only whole counts as one seat here.
 */
export function afterClick(
  layout: Layout,
  isFree: IsFree,
  chosen: readonly string[],
  seat: Seat,
  party: number,
): Click {
  const whole = wholeOf(layout, seat).map((each) => each.seat_id);
  if (chosen.includes(seat.seat_id)) return { chosen: chosen.filter((each) => !whole.includes(each)), remark: null };
  const isCouch = whole.length > 1;
  if (chosen.length > 0 && chosen.length < party) {
    const isMore = chosen.length + whole.length > party;
    return { chosen: [...chosen, ...whole], remark: isCouch && isMore ? "couch" : null };
  }
  const block = blockAround(layout, isFree, seat, party);
  if (block) return { chosen: block.map((each) => each.seat_id), remark: null };
  return { chosen: whole, remark: isCouch && party === 1 ? "couch" : "not-together" };
}
