// What proves that a guest's holds and bookings are this guest's: one secret for this browser tab, gone with it.

import { newKey } from "./transport";

const KEY = "usher.guest";

/** The guest's secret, once there is one. */
export const guestSecret = (): string | null => sessionStorage.getItem(KEY);

/** A guest is about to hold seats: the secret that will own them. */
export function becomeGuest(): void {
  if (!guestSecret()) sessionStorage.setItem(KEY, newKey() + newKey());
}
