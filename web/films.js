// The films, and one film with its showtimes by day and theater.

import { clock, day, h, languageName, link, money, notice, words } from "./dom.js";
import { all, call } from "./http.js";

export async function filmsPage() {
  const films = await all("/api/movies?status=now_showing&limit=100");
  return {
    title: "",
    content: [
      h("h1", {}, "Now showing"),
      films.length ? h("ul", { class: "films" }, films.map(card)) : notice("No film is showing just now."),
    ],
  };
}

const card = (film) =>
  h(
    "li",
    {},
    link(
      `/movies/${film.id}`,
      {},
      poster(film),
      h("strong", {}, film.title),
      h("span", { class: "quiet" }, facts(film)),
    ),
  );

const poster = (film) =>
  h("img", { class: "poster", src: film.poster_url, alt: "", width: 200, height: 300, loading: "lazy" });

const facts = (film) => [film.year, film.certificate, `${film.runtime_minutes} min`].filter(Boolean).join(" · ");

export async function filmPage(movieId) {
  const id = encodeURIComponent(movieId);
  const [film, theaters] = await Promise.all([call("GET", `/api/movies/${id}`), all(`/api/movies/${id}/showtimes`)]);
  return {
    title: film.title,
    content: [
      h(
        "article",
        { class: "film" },
        poster(film),
        h(
          "div",
          {},
          h("h1", {}, film.title),
          h("p", { class: "quiet" }, facts(film), film.genres?.length ? ` · ${film.genres.map(words).join(", ")}` : ""),
          h("p", { class: "synopsis" }, film.synopsis),
          film.directors?.length && h("p", {}, h("b", {}, "Directed by "), film.directors.join(", ")),
          film.cast?.length && h("p", {}, h("b", {}, "With "), film.cast.join(", ")),
        ),
      ),
      h("h2", {}, "Showtimes"),
      ...(theaters.length ? days(theaters) : [notice("There is no showtime in the next days.")]),
    ],
  };
}

/** Showtimes by the theater's own day, then by theater, as nested sections. */
function days(theaters) {
  const dated = theaters.flatMap(({ days, ...theater }) => days.map((each) => ({ ...each, theater })));
  const byDate = [...grouped(dated, ({ local_date }) => local_date)].sort(([a], [b]) => a.localeCompare(b));
  return byDate.map(([, ofDay]) =>
    h(
      "section",
      { class: "day" },
      h("h3", {}, day(ofDay[0].showtimes[0].starts_at, ofDay[0].theater.time_zone)),
      ofDay.map(({ theater, showtimes }) =>
        h(
          "div",
          { class: "theater" },
          h("h4", {}, `${theater.name}, ${theater.address.city}`),
          h(
            "ul",
            { class: "times" },
            showtimes.map((showtime) => chip({ ...showtime, time_zone: theater.time_zone })),
          ),
        ),
      ),
    ),
  );
}

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function chip(showtime) {
  const { starts_at, time_zone, price_from, subtitles } = showtime;
  const language = `${languageName(showtime.language)}${subtitles ? `, ${languageName(subtitles)} subtitles` : ""}`;
  const inside = [
    h("b", {}, clock(starts_at, time_zone)),
    h("span", {}, [showtime.auditorium_name, showtime.format].join(" · ")),
    h("span", {}, language),
  ];
  if (Date.parse(showtime.sales_close_at) < Date.now())
    return h("li", { class: "closed" }, inside, h("span", {}, "sales are over"));
  return h(
    "li",
    {},
    link(
      `/showtimes/${showtime.id}`,
      {},
      inside,
      h("span", {}, `from ${money(price_from.amount, price_from.currency)}`),
    ),
  );
}
