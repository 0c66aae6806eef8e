import { queryOptions } from "@tanstack/react-query";
import { api, told } from "../api/client";
import { setServerTime } from "../lib/clock";

/** A showtime's seats as inventory has them now; what changes later comes over the WebSocket. */
export const seatsQuery = (showtime_id: string) =>
  queryOptions({
    queryKey: ["seats", showtime_id],
    queryFn: async () => {
      const seating = await told(api.GET("/api/showtimes/{showtime_id}/seats", { params: { path: { showtime_id } } }));
      setServerTime(seating.server_time);
      return seating;
    },
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
