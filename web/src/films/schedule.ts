// Showtimes grouped for display: by day, then by theater or film.

import type { Schemas } from "../api/client";
import type { Showtime } from "./queries";

/** A showtime in a list, with the heading that it is listed under. */
export interface Listed extends Omit<Schemas["CatalogScreening"], "daypart"> {
  local_date: string;
  time_zone: string;
  heading: { id: string; to: string; title: string; note: string; poster?: string | undefined };
}

/** A film's showtimes, listed under their theaters. */
export const underTheaters = (theaters: Schemas["CatalogTheaterShowtimesResponse"][]): Listed[] =>
  theaters.flatMap(({ id, name, address, time_zone, days }) =>
    days.flatMap(({ local_date, showtimes }) =>
      showtimes.map((showtime) => ({
        ...showtime,
        local_date,
        time_zone,
        heading: { id, to: `/theaters/${id}`, title: name, note: address.city },
      })),
    ),
  );

/** A theater's showtimes, listed under their films. `posters`: their addresses by film. */
export const underFilms = (showtimes: Showtime[], posters: Map<string, string>): Listed[] =>
  showtimes
    .filter((showtime) => showtime.state === "scheduled")
    .map((showtime) => ({
      ...showtime,
      heading: {
        id: showtime.movie_id,
        to: `/movies/${showtime.movie_id}`,
        title: showtime.movie_title,
        note: showtime.certificate,
        poster: posters.get(showtime.movie_id),
      },
    }));

/** The days in order, each with its showtimes grouped by heading. */
export function byDay(listed: Listed[]): { date: string; groups: Listed[][] }[] {
  const days = new Map<string, Map<string, Listed[]>>();
  for (const showtime of listed) {
    const day = days.get(showtime.local_date) ?? new Map<string, Listed[]>();
    days.set(showtime.local_date, day);
    day.set(showtime.heading.id, [...(day.get(showtime.heading.id) ?? []), showtime]);
  }
  return [...days]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([date, groups]) => ({ date, groups: [...groups.values()] }));
}
