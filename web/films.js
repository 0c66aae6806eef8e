// The films, and one film with its showtimes by day and theater.

import { all, call } from "./api.js";
import { clock, day, h, link, money, notice, words } from "./dom.js";

export async function filmsPage() {
  const films = await all("/api/movies?limit=100");
  return {
    title: "",
    content: [
      h("h1", {}, "Now showing"),
      films.length ? h("ul", { class: "films" }, films.map(card)) : notice("No film is showing just now."),
    ],
  };
}

const card = (film) =>
  h("li", {}, link(`/movies/${film.movie_id}`, {},
    poster(film), h("strong", {}, film.title), h("span", { class: "quiet" }, facts(film))));

const poster = (film) =>
  h("img", { class: "poster", src: `/api/movies/${film.movie_id}/poster.svg`, alt: "", width: 200, height: 300, loading: "lazy" });

const facts = (film) => [film.year, film.certificate, `${film.runtime_minutes} min`].filter(Boolean).join(" · ");

export async function filmPage(movieId) {
  const id = encodeURIComponent(movieId);
  const [film, showtimes] = await Promise.all([call("GET", `/api/movies/${id}`), all(`/api/movies/${id}/showtimes?limit=100`)]);
  return {
    title: film.title,
    content: [
      h("article", { class: "film" },
        poster(film),
        h("div", {},
          h("h1", {}, film.title),
          h("p", { class: "quiet" }, facts(film), film.genres?.length ? ` · ${film.genres.map(words).join(", ")}` : ""),
          h("p", { class: "synopsis" }, film.synopsis),
          film.directors?.length && h("p", {}, h("b", {}, "Directed by "), film.directors.join(", ")),
          film.cast?.length && h("p", {}, h("b", {}, "With "), film.cast.join(", ")))),
      h("h2", {}, "Showtimes"),
      ...(showtimes.length ? days(showtimes) : [notice("There is no showtime in the next days.")]),
    ],
  };
}

/** Showtimes by the theater's own day, then by theater, as nested sections. */
function days(showtimes) {
  const sorted = showtimes.toSorted((one, other) => Date.parse(one.starts_at) - Date.parse(other.starts_at));
  return [...grouped(sorted, (showtime) => day(showtime.starts_at, showtime.time_zone))].map(([date, ofDay]) =>
    h("section", { class: "day" }, h("h3", {}, date),
      [...grouped(ofDay, (showtime) => showtime.theater_name)].map(([theater, here]) =>
        h("div", { class: "theater" }, h("h4", {}, theater), h("ul", { class: "times" }, here.map(chip))))));
}

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function chip(showtime) {
  const time = clock(showtime.starts_at, showtime.time_zone);
  const more = [showtime.auditorium_name, showtime.format, showtime.language].filter(Boolean).join(" · ");
  const price = showtime.price_from === undefined ? null : `from ${money(showtime.price_from, showtime.currency)}`;
  const inside = [h("b", {}, time), h("span", {}, more), price && h("span", {}, price)];
  const isOver = Date.parse(showtime.sales_close_at ?? showtime.starts_at) < Date.now();
  if (isOver || showtime.cancelled) {
    return h("li", { class: "closed" }, ...inside, h("span", {}, showtime.cancelled ? "cancelled" : "sales are over"));
  }
  return h("li", {}, link(`/showtimes/${showtime.showtime_id}`, {}, ...inside));
}
