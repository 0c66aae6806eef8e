// The server's clock: deadlines are the server's, and this machine's clock may be wrong.

let ahead = 0;

/** Learn from an answer's `server_time`. */
export function setServerTime(moment: string): void {
  ahead = Date.parse(moment) - Date.now();
}

/** Now, in milliseconds, by the server's clock. */
export const serverNow = (): number => Date.now() + ahead;

/** Whole seconds until a moment, never below 0. */
export const secondsUntil = (moment: string, now = serverNow()): number =>
  Math.max(0, Math.ceil((Date.parse(moment) - now) / 1000));
