import { queryOptions } from "@tanstack/react-query";
import { api, fetchAll, type Schemas, unwrap } from "../api/client";
import type { Wishes } from "./wishes";

export type MovieCard = Schemas["CatalogMovieSummary"];
export type Movie = Schemas["CatalogMovieResponse"];
export type Showtime = Schemas["CatalogShowtimeSummary"];
export type Theater = Schemas["CatalogTheaterResponse"];

const SCHEDULE_STALE_MS = 5 * 60_000;

/** The filters of the film list. Empty ones are not applied. */
export interface Wanted extends Wishes {
  status: "now_showing" | "coming_soon";
  q: string;
  genre: string;
}

/** The list without filters. */
export const NOW_SHOWING: Wanted = { status: "now_showing", q: "", genre: "", city: "", date: "", time: "" };

const DAYPARTS = {
  daytime: ["morning", "afternoon"],
  evening: ["evening", "night"],
} as const;

export const moviesQuery = ({ status, q, genre, city, date, time }: Wanted) =>
  queryOptions({
    queryKey: ["movies", status, q, genre, city, date, time],
    queryFn: async ({ signal }) => {
      const films = (daypart?: "morning" | "afternoon" | "evening" | "night") =>
        fetchAll((cursor) =>
          unwrap(
            api.GET("/api/movies", {
              params: {
                query: {
                  status,
                  q,
                  genre: genre || undefined,
                  city: city || undefined,
                  date: date || undefined,
                  daypart,
                  limit: 100,
                  cursor,
                },
              },
              signal,
            }),
          ),
        );
      if (time !== "daytime" && time !== "evening") return films();
      const [early, late] = await Promise.all(DAYPARTS[time].map(films));
      const all = [...(early ?? []), ...(late ?? [])];
      const unique = [...new Map(all.map((film) => [film.id, film])).values()];
      return q ? unique : unique.sort((one, other) => one.title.localeCompare(other.title));
    },
    staleTime: SCHEDULE_STALE_MS,
  });

/** The films that a theater shows, for their posters. */
export const theaterFilmsQuery = (theater_id: string) =>
  queryOptions({
    queryKey: ["theater", theater_id, "films"],
    queryFn: () =>
      fetchAll((cursor) => unwrap(api.GET("/api/movies", { params: { query: { theater_id, limit: 100, cursor } } }))),
    staleTime: SCHEDULE_STALE_MS,
  });

export const genresQuery = queryOptions({
  queryKey: ["genres"],
  queryFn: () => unwrap(api.GET("/api/genres")),
  staleTime: SCHEDULE_STALE_MS,
});

export const movieQuery = (movie_id: string) =>
  queryOptions({
    queryKey: ["movie", movie_id],
    queryFn: () => unwrap(api.GET("/api/movies/{movie_id}", { params: { path: { movie_id } } })),
    staleTime: SCHEDULE_STALE_MS,
  });

export const movieShowtimesQuery = (movie_id: string) =>
  queryOptions({
    queryKey: ["movie", movie_id, "showtimes"],
    queryFn: () =>
      fetchAll((cursor) =>
        unwrap(
          api.GET("/api/movies/{movie_id}/showtimes", {
            params: { path: { movie_id }, query: { days: 14, limit: 20, cursor } },
          }),
        ),
      ),
  });

export const theatersQuery = queryOptions({
  queryKey: ["theaters"],
  queryFn: () => fetchAll((cursor) => unwrap(api.GET("/api/theaters", { params: { query: { limit: 100, cursor } } }))),
  staleTime: SCHEDULE_STALE_MS,
});

export const theaterQuery = (theater_id: string) =>
  queryOptions({
    queryKey: ["theater", theater_id],
    queryFn: () => unwrap(api.GET("/api/theaters/{theater_id}", { params: { path: { theater_id } } })),
    staleTime: SCHEDULE_STALE_MS,
  });

export const theaterShowtimesQuery = (theater_id: string) =>
  queryOptions({
    queryKey: ["theater", theater_id, "showtimes"],
    queryFn: () =>
      fetchAll((cursor) =>
        unwrap(
          api.GET("/api/showtimes", {
            params: { query: { theater_id, from: new Date().toISOString(), limit: 100, cursor } },
          }),
        ),
      ),
  });

export const showtimeQuery = (showtime_id: string) =>
  queryOptions({
    queryKey: ["showtime", showtime_id],
    queryFn: () => unwrap(api.GET("/api/showtimes/{showtime_id}", { params: { path: { showtime_id } } })),
    staleTime: SCHEDULE_STALE_MS,
  });
