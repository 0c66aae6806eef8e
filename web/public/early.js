// Before the first paint: the theme and the language; and what the page at this address is going to load.
const root = document.documentElement;
const theme = localStorage.getItem("usher.theme");
if (theme) root.dataset.theme = theme;

const tags = [localStorage.getItem("usher.language"), ...navigator.languages].map((tag) => tag?.slice(0, 2));
root.lang = tags.find((tag) => tag === "en" || tag === "de") ?? "en";

/** Loads ahead what the scripts ask for later. The addresses of the API are those of src/films/queries.ts. */
const ahead = (rel, href, more = {}) =>
  document.head.append(Object.assign(document.createElement("link"), { rel, href, ...more }));
const { pathname, search } = location;
const [page = "", id] = pathname.split("/").slice(1);
const calls = {
  "": search ? [] : ["/api/movies?status=now_showing&q=&limit=100"],
  movies: [`/api/movies/${id}`, `/api/movies/${id}/showtimes?days=14&limit=20`],
  theaters: id ? [`/api/theaters/${id}`, `/api/movies?theater_id=${id}&limit=100`] : ["/api/theaters?limit=100"],
  showtimes: [`/api/showtimes/${id}`],
};
for (const href of calls[page] ?? []) ahead("preload", href, { as: "fetch", crossOrigin: "anonymous" });
// The build names the files of each language and page here.
const files = JSON.parse(document.currentScript.dataset.files ?? "{}");
for (const href of [...(files[root.lang] ?? []), ...(files[id && page ? `${page}/` : page] ?? [])])
  ahead("modulepreload", href);
