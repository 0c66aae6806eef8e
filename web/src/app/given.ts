// The responses that came with a page that catalog renders (catalog/api/pages), so that nothing is loaded twice.

import type { QueryClient } from "@tanstack/react-query";
import type { Schemas } from "../api/client";
import {
  type Movie,
  type MovieCard,
  movieQuery,
  movieShowtimesQuery,
  moviesQuery,
  NOW_SHOWING,
  type Showtime,
  showtimeQuery,
  type Theater,
  theaterFilmsQuery,
  theaterQuery,
  theaterShowtimesQuery,
  theatersQuery,
} from "../films/queries";

interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

interface Given {
  /** When catalog rendered the page. */
  at: string;
  films?: Page<MovieCard>;
  film?: Movie;
  showtimes?: Page<Schemas["CatalogTheaterShowtimesResponse"]>;
  theaters?: Page<Theater>;
  theater?: Theater;
  films_there?: Page<MovieCard>;
  showtimes_there?: Showtime[];
  showtime?: Schemas["CatalogShowtimeResponse"];
}

/** Put the responses into the cache, except those of lists with further pages. */
export function seed(queries: QueryClient): void {
  const text = document.getElementById("given")?.textContent;
  if (!text) return;
  const { at, films, film, showtimes, theaters, theater, films_there, showtimes_there, showtime }: Given =
    JSON.parse(text);
  const put = (queryKey: readonly unknown[], data: unknown) =>
    queries.setQueryData(queryKey, data, { updatedAt: Date.parse(at) });
  const putAll = (queryKey: readonly unknown[], page: Page<unknown>) => {
    if (!page.next_cursor) put(queryKey, page.items);
  };
  if (films) putAll(moviesQuery(NOW_SHOWING).queryKey, films);
  if (film) put(movieQuery(film.id).queryKey, film);
  if (film && showtimes) putAll(movieShowtimesQuery(film.id).queryKey, showtimes);
  if (theaters) putAll(theatersQuery.queryKey, theaters);
  if (theater) put(theaterQuery(theater.id).queryKey, theater);
  if (theater && films_there) putAll(theaterFilmsQuery(theater.id).queryKey, films_there);
  if (theater && showtimes_there) put(theaterShowtimesQuery(theater.id).queryKey, showtimes_there);
  if (showtime) put(showtimeQuery(showtime.id).queryKey, showtime);
}
