// The services' HTTP API. Answers are JSON; a problem document becomes a Problem.

/** An answer that was not 2xx, or none at all. `code` is the service's, `seats` are named by a lost race. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || "Something went wrong. Please try again.");
    this.status = status;
    this.code = document.code ?? "";
    this.seats = document.seats ?? [];
  }
}

const OFFLINE = { detail: "Usher cannot be reached just now. Please try again.", code: "unreachable" };
const RENEW_BEFORE_S = 30;

/** Who is signed in on this page: tokens live in its memory only. */
export const session = { user: null, access: "", refresh: "", renewAt: 0, renewing: null, onchange: () => {} };

export async function signIn(email, password) {
  keep(await request("POST", "/api/auth/login", { body: { email, password } }));
}

export async function signOut() {
  const token = session.refresh;
  forget();
  await request("POST", "/api/auth/logout", { body: { refresh_token: token } });
}

function keep(answer) {
  Object.assign(session, {
    user: answer.user,
    access: answer.access_token,
    refresh: answer.refresh_token,
    renewAt: performance.now() + (answer.expires_in - RENEW_BEFORE_S) * 1000,
  });
  session.onchange();
}

function forget() {
  Object.assign(session, { user: null, access: "", refresh: "" });
  session.onchange();
}

/** The access token, renewed in time; empty for a guest. One renewal at a time: a refresh token is good for one use. */
export async function accessToken() {
  if (session.access && performance.now() > session.renewAt) {
    session.renewing ??= renew().finally(() => (session.renewing = null));
    await session.renewing;
  }
  return session.access;
}

async function renew() {
  try {
    keep(await request("POST", "/api/auth/refresh", { body: { refresh_token: session.refresh } }));
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    forget();
  }
}

/** Call the API as whoever is signed in; `secret` is a guest's for a hold. */
export async function call(method, path, { body, secret } = {}) {
  const token = await accessToken();
  return request(method, path, { body, secret, token });
}

async function request(method, path, { body, secret, token }) {
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  if (secret) headers["X-Hold-Secret"] = secret;
  if (method !== "GET") headers["Idempotency-Key"] = newKey();
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem(0, OFFLINE);
  }
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get("Content-Type") ?? "");
  const document = isJson && text ? JSON.parse(text) : {};
  if (!answer.ok) throw new Problem(answer.status, document);
  return document;
}

/** 32 random hex digits; `crypto.randomUUID` would need https. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** All items of a paged list, up to `most`. */
export async function all(path, most = 500) {
  const items = [];
  let cursor = null;
  do {
    const more = cursor ? `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : "";
    const page = await call("GET", path + more);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}
