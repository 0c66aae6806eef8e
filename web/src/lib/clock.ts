// The server's clock. Deadlines are in server time, and the local clock may be wrong.

let ahead = 0;

/** Synchronize with the `server_time` of a response. */
export function setServerTime(moment: string): void {
  ahead = Date.parse(moment) - Date.now();
}

/** The current server time in milliseconds. */
export const serverNow = (): number => Date.now() + ahead;

/** Whole seconds until a moment, at least 0. */
export const secondsUntil = (moment: string, now = serverNow()): number =>
  Math.max(0, Math.ceil((Date.parse(moment) - now) / 1000));
