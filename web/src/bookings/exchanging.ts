// The exchange that is under way in this tab: the tickets that the next order is to replace.

import type { Named } from "../seats/labels";
import type { Booking } from "./queries";

export interface Exchanging {
  bookingId: string;
  showtimeId: string;
  tickets: { ticket_id: string; seat: Named & { seat_id: string } }[];
}

const KEY = "usher.exchange";

export const exchanging = (): Exchanging | null =>
  JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Exchanging | null;

export function startExchange({ id, showtime_id }: Booking, tickets: Exchanging["tickets"]): void {
  const started: Exchanging = {
    bookingId: id,
    showtimeId: showtime_id,
    tickets: tickets.map(({ ticket_id, seat }) => ({ ticket_id, seat })),
  };
  sessionStorage.setItem(KEY, JSON.stringify(started));
  sessionStorage.setItem("usher.party", String(tickets.length));
}

export const endExchange = (): void => sessionStorage.removeItem(KEY);

/** The seats of this showtime whose tickets are being exchanged. */
export function oldSeats(showtimeId: string): ReadonlySet<string> {
  const current = exchanging();
  return new Set(current?.showtimeId === showtimeId ? current.tickets.map(({ seat }) => seat.seat_id) : []);
}
