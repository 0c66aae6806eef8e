// What this tab stores across reloads: the hold of a showtime, its seats, the selected ticket types and
// promotion codes.

import type { Named } from "./labels";
import type { Hold } from "./layout";

const holdKey = (showtimeId: string) => `usher.hold.${showtimeId}`;
const seatsKey = (holdId: string) => `usher.held.${holdId}`;
const codesKey = (showtimeId: string) => `usher.codes.${showtimeId}`;
const ticketsKey = (showtimeId: string) => `usher.tickets.${showtimeId}`;

export const storedHold = (showtimeId: string): string | null => sessionStorage.getItem(holdKey(showtimeId));
export const storeHold = (showtimeId: string, holdId: string) => sessionStorage.setItem(holdKey(showtimeId), holdId);
export const forgetHold = (showtimeId: string) => sessionStorage.removeItem(holdKey(showtimeId));

/** The seats of a hold, to select them again after it has expired. */
interface Seats {
  showtimeId: string;
  seats: (Named & { seat_id: string })[];
}

export const storedSeats = (holdId: string): Seats | null =>
  JSON.parse(sessionStorage.getItem(seatsKey(holdId)) ?? "null") as Seats | null;

export function storeSeats({ hold_id, showtime_id, seats }: Hold): void {
  const kept: Seats = { showtimeId: showtime_id, seats };
  sessionStorage.setItem(seatsKey(hold_id), JSON.stringify(kept));
}

/** The selected ticket type by seat. */
export function storedTickets(showtimeId: string): Record<string, string> {
  return JSON.parse(sessionStorage.getItem(ticketsKey(showtimeId)) ?? "{}") as Record<string, string>;
}

export function storeTickets(showtimeId: string, chosen: Record<string, string>): void {
  sessionStorage.setItem(ticketsKey(showtimeId), JSON.stringify(chosen));
}

/** The promotion codes that were entered. */
export function storedCodes(showtimeId: string): string[] {
  return JSON.parse(sessionStorage.getItem(codesKey(showtimeId)) ?? "[]") as string[];
}

export function storeCodes(showtimeId: string, codes: string[]): void {
  sessionStorage.setItem(codesKey(showtimeId), JSON.stringify(codes));
}
