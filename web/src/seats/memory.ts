// What a reload must not lose, for this tab: which hold belongs to a showtime, and the ticket types chosen so far.

const holdKey = (showtimeId: string) => `usher.hold.${showtimeId}`;
const ticketsKey = (showtimeId: string) => `usher.tickets.${showtimeId}`;

export const keptHold = (showtimeId: string): string | null => sessionStorage.getItem(holdKey(showtimeId));
export const keepHold = (showtimeId: string, holdId: string) => sessionStorage.setItem(holdKey(showtimeId), holdId);
export const dropHold = (showtimeId: string) => sessionStorage.removeItem(holdKey(showtimeId));

/** Seat to ticket type. */
export function keptTickets(showtimeId: string): Record<string, string> {
  return JSON.parse(sessionStorage.getItem(ticketsKey(showtimeId)) ?? "{}") as Record<string, string>;
}

export function keepTickets(showtimeId: string, chosen: Record<string, string>): void {
  sessionStorage.setItem(ticketsKey(showtimeId), JSON.stringify(chosen));
}
