import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, type Schemas, unwrapOrNull } from "../api/client";
import { subscribe } from "../api/session";
import { LiveConnection } from "../lib/live";

export type Booking = Schemas["BookingBookingResponse"];
export type Received = Schemas["BookingReceivedTicketResponse"];
export type State = Schemas["BookingState"];

/** Whether the seats had changed or their hold had expired before the order arrived. */
export const wereSeatsReleased = ({ state, ending }: Booking): boolean =>
  ending === "seats_released" && (state === "closing" || state === "expired");

/** States that change without action by the customer. */
export const MOVING: State[] = ["closing", "confirming", "exchanging", "refunding"];
const ASK_MOVING_MS = 2000;
const ASK_WAITING_MS = 5000;

/** A booking, by the id of its hold. Null before the checkout, and if the caller may not see it. */
export const bookingQuery = (booking_id: string) =>
  queryOptions({
    queryKey: ["mine", "booking", booking_id],
    queryFn: () =>
      unwrapOrNull(api.GET("/api/bookings/{booking_id}", { params: { path: { booking_id } } }), "booking_unknown"),
    staleTime: 0,
  });

/** A ticket that another person offers or has transferred to the visitor; null if the link is void. */
export const receivedQuery = (ticket_id: string) =>
  queryOptions({
    queryKey: ["mine", "ticket", ticket_id],
    queryFn: () =>
      unwrapOrNull(
        api.GET("/api/tickets/{ticket_id}/transfer", { params: { path: { ticket_id } } }),
        "transfer_unknown",
        "unauthenticated",
      ),
    staleTime: 0,
  });

/** A booking with live updates over the WebSocket, and polling in case a message gets lost. */
export function useBooking(bookingId: string) {
  const queries = useQueryClient();
  useEffect(() => {
    const { queryKey } = bookingQuery(bookingId);
    const ask = () => void queries.invalidateQueries({ queryKey });
    const live = new LiveConnection(null, {
      onMessage: (message) => {
        if (message.type === "authenticated") ask();
        if (message.type === "booking:update" && message.booking_id === bookingId) ask();
      },
    });
    const stop = subscribe(() => {
      void live.authenticate();
      ask();
    });
    return () => {
      stop();
      live.close();
    };
  }, [bookingId, queries]);
  return useQuery({
    ...bookingQuery(bookingId),
    refetchInterval: ({ state }) => {
      const booking = state.data;
      if (!booking) return false;
      const isRefunding = booking.refunds.some(({ state }) => state === "requested");
      if (MOVING.includes(booking.state) || isRefunding) return ASK_MOVING_MS;
      return booking.state === "awaiting_payment" ? ASK_WAITING_MS : false;
    },
  });
}
