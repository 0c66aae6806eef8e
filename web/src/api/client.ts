// The services' HTTP API, typed from their OpenAPI (schema.d.ts, made by `make api`).

import createClient, { type Middleware } from "openapi-fetch";
import { guestSecret, linkKey } from "./guest";
import { isProblem, Problem } from "./problem";
import type { components, paths } from "./schema";
import { accessToken, discardToken } from "./session";
import { newKey, send } from "./transport";

export type Schemas = components["schemas"];

// Nobody needs to be known to read the programme, so these do not wait for a session to be renewed.
const OPEN = /^\/api\/(movies|genres|theaters|auditoriums|showtimes|payments\/config)(?!.*\/(mine|blocks))/;

const identified: Middleware = {
  async onRequest({ request }) {
    const { pathname } = new URL(request.url);
    if (request.method === "GET" && OPEN.test(pathname)) return;
    if (request.method !== "GET") request.headers.set("Idempotency-Key", newKey());
    const token = /^\/api\/auth\/(login|register|refresh|logout)$/.test(pathname) ? "" : await accessToken();
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    const secret = guestSecret();
    if (secret && /^\/api\/(showtimes|holds|bookings|tickets|payments)/.test(pathname)) {
      request.headers.set("X-Hold-Secret", secret);
    }
    const booking = /^\/api\/bookings\/([^/]+)$/.exec(pathname)?.[1];
    const key = booking && linkKey(booking);
    if (key) request.headers.set("X-Booking-Key", key);
  },
  onResponse({ response }) {
    if (response.status === 401) discardToken();
  },
};

export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: send,
  headers: { Accept: "application/json" },
});
api.use(identified);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of an answer. Raises Problem for any that is not 2xx. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) {
    throw new Problem(response.status, typeof error === "object" && error ? { ...error } : {});
  }
  return data as T;
}

/** The body of an answer; null for a problem with one of these codes. Raises Problem for any other. */
export async function unwrapOrNull<T>(call: Promise<Answer<T>>, ...codes: string[]): Promise<T | null> {
  try {
    return await unwrap(call);
  } catch (error) {
    if (isProblem(error, ...codes)) return null;
    throw error;
  }
}

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** All items of a paged list, up to `most`. */
export async function fetchAll<T>(page: (cursor?: string) => Promise<Page<T>>, most = 600): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const next = await page(cursor);
    items.push(...next.items);
    cursor = next.next_cursor ?? undefined;
  } while (cursor && items.length < most);
  return items;
}
