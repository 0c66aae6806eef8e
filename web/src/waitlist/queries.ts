import { queryOptions } from "@tanstack/react-query";
import { api, unwrapOrNull } from "../api/client";
import { setServerTime } from "../lib/clock";

const ASK_MS = 10_000;

/** The visitor's place on a showtime's waitlist; null if there is none. */
export const placeQuery = (showtime_id: string) =>
  queryOptions({
    queryKey: ["mine", "waitlist", showtime_id],
    queryFn: async () => {
      const call = api.GET("/api/showtimes/{showtime_id}/waitlist", { params: { path: { showtime_id } } });
      const place = await unwrapOrNull(call, "not_waiting");
      if (place) setServerTime(place.server_time);
      return place;
    },
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data ? ASK_MS : false),
  });
