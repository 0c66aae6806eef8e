// The session. The refresh token is in a cookie that scripts cannot read, the access token only in this module.

import type { Schemas } from "./client";
import { Problem } from "./problem";
import { send } from "./transport";

export type Account = Schemas["IdentityAccount"];
type SignedIn = Schemas["IdentityTokenResponse"];
export type Session = { state: "unknown" | "guest"; user: null } | { state: "signed-in"; user: Account };

const HINT = "usher.signed-in";
const RENEW_BEFORE_MS = 30_000;

let session: Session = localStorage.getItem(HINT) ? { state: "unknown", user: null } : { state: "guest", user: null };
let token = "";
let renewAt = 0;
let renewing: Promise<void> | null = null;
const listeners = new Set<() => void>();

export const current = () => session;

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function change(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

/** Sign in with the response of a sign-in request. */
export function enter(answer: SignedIn): void {
  token = answer.access_token;
  renewAt = performance.now() + answer.expires_in * 1000 - RENEW_BEFORE_MS;
  localStorage.setItem(HINT, "1");
  change({ state: "signed-in", user: answer.user });
}

/** Continue as a guest. */
export function leave(): void {
  token = "";
  localStorage.removeItem(HINT);
  change({ state: "guest", user: null });
}

/** Update the name or address after a change. */
export function rename(user: Account): void {
  if (session.state === "signed-in") change({ state: "signed-in", user: { ...session.user, ...user } });
}

/** Returns the access token and renews it before it expires; empty for a guest. */
export async function accessToken(): Promise<string> {
  if (session.state === "guest") return "";
  if (session.state === "unknown" || performance.now() > renewAt) {
    renewing ??= renew().finally(() => {
      renewing = null;
    });
    await renewing;
  }
  return token;
}

/** Discard a rejected access token, so that the next request renews it. */
export function discardToken(): void {
  renewAt = 0;
}

async function renew(): Promise<void> {
  const answer = await send(
    new Request("/api/auth/refresh", {
      method: "POST",
      body: "{}",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
    }),
  );
  if (answer.status === 401) return leave();
  if (!answer.ok) throw new Problem(answer.status, {});
  enter((await answer.json()) as SignedIn);
}

// Another tab signed in or out.
addEventListener("storage", (event) => {
  if (event.key !== HINT) return;
  if (event.newValue && session.state === "guest") {
    change({ state: "unknown", user: null });
    accessToken().catch(() => undefined);
  } else if (!event.newValue && session.state !== "guest") leave();
});
