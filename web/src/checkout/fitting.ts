import type { Schemas } from "../api/client";
import { isProblem } from "../api/problem";

type Choice = Schemas["BookingQuoteChoice"];

/**
 * The quote of these tickets. Companions without a wheelchair place get the usual ticket: they were chosen before the
 * hold lost that place, or while the quote that gave it to another companion was on its way.
 */
export async function fitting<T>(tickets: Choice[], quote: (tickets: Choice[]) => Promise<T>): Promise<T> {
  try {
    return await quote(tickets);
  } catch (error) {
    if (!isProblem(error, "companion_without_wheelchair")) throw error;
    return quote(tickets.map((each) => (error.seats.includes(each.seat_id) ? { ...each, ticket_type: null } : each)));
  }
}
