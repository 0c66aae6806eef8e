import { queryOptions } from "@tanstack/react-query";
import { api, unwrap, unwrapOrNull } from "../api/client";
import { setServerTime } from "../lib/clock";

/** The current seats of a showtime from inventory. Later changes arrive over the WebSocket. */
export const seatsQuery = (showtime_id: string) =>
  queryOptions({
    queryKey: ["seats", showtime_id],
    queryFn: async () => {
      const seating = await unwrap(
        api.GET("/api/showtimes/{showtime_id}/seats", { params: { path: { showtime_id } } }),
      );
      setServerTime(seating.server_time);
      return seating;
    },
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });

/** The visitor's current hold with its claim; null if it has ended or belongs to someone else. */
export const holdQuery = (hold_id: string) =>
  queryOptions({
    queryKey: ["mine", "hold", hold_id],
    queryFn: async () => {
      const call = api.GET("/api/holds/{hold_id}", { params: { path: { hold_id } } });
      const hold = await unwrapOrNull(call, "hold_unknown", "hold_lapsed");
      if (hold) setServerTime(hold.server_time);
      return hold;
    },
    staleTime: 0,
  });
