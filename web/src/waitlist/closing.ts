import { serverNow } from "../lib/clock";

const CLOSES_BEFORE_MS = 30 * 60_000;

/** Whether people can still join the waitlist of a showtime. */
export const hasWaitlist = (starts_at: string): boolean => serverNow() < Date.parse(starts_at) - CLOSES_BEFORE_MS;
