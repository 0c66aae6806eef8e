import type { Schemas } from "../api/client";
import { isProblem } from "../api/problem";

type Choice = Schemas["BookingQuoteChoice"];

/**
 * The quote of these tickets. Companion tickets without a wheelchair space become the default ticket: they were chosen
 * before the hold lost that space, or while another quote was loading that gave the space to another companion.
 */
export async function fitting<T>(tickets: Choice[], quote: (tickets: Choice[]) => Promise<T>): Promise<T> {
  try {
    return await quote(tickets);
  } catch (error) {
    if (!isProblem(error, "companion_without_wheelchair")) throw error;
    return quote(tickets.map((each) => (error.seats.includes(each.seat_id) ? { ...each, ticket_type: null } : each)));
  }
}
