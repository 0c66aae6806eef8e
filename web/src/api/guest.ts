// What proves that a guest's holds and bookings are this guest's: one secret for this browser tab, gone with it. And the
// keys of mailed links, each of which shows one booking.

import { newKey } from "./transport";

const KEY = "usher.guest";
const LINK = "usher.link.";
const LONGEST_KEY = 1000;

/** The guest's secret, once there is one. */
export const guestSecret = (): string | null => sessionStorage.getItem(KEY);

/** A guest is about to hold seats: the secret that will own them. */
export function becomeGuest(): void {
  if (!guestSecret()) sessionStorage.setItem(KEY, newKey() + newKey());
}

/** The key in the link that leads to a page; it stands behind `#`, where no server sees it. */
export const keyOf = (hash: string): string | null => new URLSearchParams(hash.slice(1)).get("key");

/** Somebody followed a link to a booking: its key, in whatever state it arrived. */
export function keepLinkKey(bookingId: string, key: string): void {
  sessionStorage.setItem(LINK + bookingId, encodeURIComponent(key).slice(0, LONGEST_KEY));
}

/** The key of the link that led to the booking. */
export const linkKey = (bookingId: string): string | null => sessionStorage.getItem(LINK + bookingId);
