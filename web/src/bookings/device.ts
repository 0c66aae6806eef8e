// Tickets kept on this device: they open without a network, and a guest's also in a new tab.

import { useSyncExternalStore } from "react";
import type { Booking } from "./queries";

const KEY = "usher.kept-tickets";
/** A day after the film nobody needs them. */
const USED_MS = 24 * 60 * 60 * 1000;

export interface Kept {
  savedAt: string;
  /** Who was signed in; null for a guest. */
  owner: string | null;
  booking: Booking;
}

const listeners = new Set<() => void>();
let text: string | null = null;
let kept: Kept[] = [];

/** The kept tickets that are still needed. The result is the same object until they change. */
export function keptTickets(): Kept[] {
  const stored = localStorage.getItem(KEY);
  if (stored === text) return kept;
  text = stored;
  kept = parsed(stored ?? "[]");
  return kept;
}

/** The tickets in a stored text; none if it is not ours. */
function parsed(stored: string): Kept[] {
  try {
    const found: unknown = JSON.parse(stored);
    return Array.isArray(found) ? (found as Kept[]).filter((each) => each?.booking?.tickets) : [];
  } catch {
    return [];
  }
}

const isNeeded = ({ booking }: Kept) => Date.now() < Date.parse(booking.screening?.ends_at ?? "") + USED_MS;

function store(next: Kept[]): void {
  const needed = next.filter(isNeeded);
  if (needed.length) localStorage.setItem(KEY, JSON.stringify(needed));
  else localStorage.removeItem(KEY);
  for (const listener of listeners) listener();
}

export const forget = (bookingId: string) => store(keptTickets().filter(({ booking }) => booking.id !== bookingId));

/** Keep the tickets of a confirmed booking; forget those of any other. */
export function keep(booking: Booking, owner: string | null): void {
  const others = keptTickets().filter((each) => each.booking.id !== booking.id);
  const isTicket = booking.state === "confirmed" && booking.screening !== null;
  if (!isTicket && others.length === keptTickets().length) return;
  store(isTicket ? [...others, { savedAt: new Date().toISOString(), owner, booking }] : others);
}

/** Forget what was kept for people who signed in. */
export const forgetPersonal = () => store(keptTickets().filter(({ owner }) => owner === null));

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener("storage", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("storage", listener);
  };
}

/** The kept tickets that this visitor may see: a guest's, and one's own. */
export function useKeptTickets(userId: string | undefined): Kept[] {
  const all = useSyncExternalStore(subscribe, keptTickets);
  return all.filter(({ owner }) => owner === null || userId === undefined || owner === userId);
}
