// A booking's documents. Their requests need the caller's token, secret or link, which a plain link would not send.

import { api, unwrap } from "../api/client";
import { saveFile } from "../lib/save";
import type { Booking } from "./queries";

export type Document = Booking["documents"][number];

/** Downloads a document and lets the browser save it. */
export async function saveDocument({ id, reference }: Booking, document: Document): Promise<void> {
  const request = { params: { path: { booking_id: id } }, parseAs: "blob" } as const;
  if (document === "tickets") {
    saveFile(`tickets-${reference}.pdf`, await unwrap(api.GET("/api/bookings/{booking_id}/tickets.pdf", request)));
  } else if (document === "receipt") {
    saveFile(`receipt-${reference}.pdf`, await unwrap(api.GET("/api/bookings/{booking_id}/receipt.pdf", request)));
  } else {
    saveFile(`${reference}.ics`, await unwrap(api.GET("/api/bookings/{booking_id}/calendar.ics", request)));
  }
}
