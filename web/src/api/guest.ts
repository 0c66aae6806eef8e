// The secret that proves that a guest owns holds and bookings, which lasts as long as the browser tab, and the keys of
// mailed links, each of which opens one booking or ticket.

import { newKey } from "./transport";

const KEY = "usher.guest";
const LINK = "usher.link.";
const LONGEST_KEY = 1000;

/** The guest's secret, if there is one. */
export const guestSecret = (): string | null => sessionStorage.getItem(KEY);

/** Creates the secret for a guest who is about to hold seats, unless there is one. */
export function becomeGuest(): void {
  if (!guestSecret()) sessionStorage.setItem(KEY, newKey() + newKey());
}

const MADE = "usher.guest-holds";

/** The holds and bookings that this tab made as a guest, by the hold's id, until an account has them. */
export const guestHolds = (): string[] => JSON.parse(sessionStorage.getItem(MADE) ?? "[]") as string[];

export const noteGuestHold = (id: string) =>
  sessionStorage.setItem(MADE, JSON.stringify([...new Set([...guestHolds(), id])]));

export const dropGuestHold = (id: string) =>
  sessionStorage.setItem(MADE, JSON.stringify(guestHolds().filter((each) => each !== id)));
/** Continues as the guest whose secret is in a followed link to a waitlist. */
export const followAsGuest = (secret: string): void => sessionStorage.setItem(KEY, secret.slice(0, LONGEST_KEY));

/** The key in a mailed link. It is in the fragment, which is not sent to servers. */
export const keyOf = (hash: string): string | null => new URLSearchParams(hash.slice(1)).get("key");

/** Stores the key of a followed link to a booking or a ticket, even if it is incomplete. */
export function keepLinkKey(id: string, key: string): void {
  sessionStorage.setItem(LINK + id, encodeURIComponent(key).slice(0, LONGEST_KEY));
}

/** The key of the link that opened the booking or ticket. */
export const linkKey = (id: string): string | null => sessionStorage.getItem(LINK + id);
