// Without a network the client still opens: its page and files are kept; what the services say never is.
const KEPT = "usher-1";
const PAGE = "/index.html";
const BESIDE = ["/icon.svg"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll([PAGE, ...BESIDE])));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin) return;
  if (event.request.mode === "navigate" && !/^\/(api|docs|openapi)(\/|$)/.test(pathname))
    event.respondWith(page(event.request));
  else if (pathname.startsWith("/assets/")) event.respondWith(file(event.request));
  else if (BESIDE.includes(pathname)) event.respondWith(fetch(event.request).catch(() => caches.match(pathname)));
});

/** The page as it is now; without a network, the kept one, which has no content yet. */
async function page(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok) await renew(await answer.clone().text());
    return answer;
  } catch {
    return (await caches.match(PAGE)) ?? Response.error();
  }
}

/** If this page needs other files than the kept one: keep the new page; files that the old one needed go. */
async function renew(text) {
  const cache = await caches.open(KEPT);
  const old = await (await cache.match(PAGE))?.text();
  const [entry] = /\/assets\/[^"]+\.js/.exec(text) ?? [];
  if (!entry || old?.includes(entry)) return;
  await cache.add(PAGE);
  for (const request of await cache.keys()) if (request.url.includes("/assets/")) await cache.delete(request);
}

/** Files carry a digest in their names and never change. */
async function file(request) {
  const kept = await caches.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await (await caches.open(KEPT)).put(request, answer.clone());
  return answer;
}
