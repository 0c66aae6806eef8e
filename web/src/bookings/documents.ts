// A booking's documents. Their requests need the caller's token, secret or link, which a plain link would not send.

import { api, unwrap } from "../api/client";
import { saveFile } from "../lib/save";
import type { Booking } from "./queries";

export type Document = Booking["documents"][number];

const IS_APPLE = /iPhone|iPad|Macintosh/.test(navigator.userAgent);
const IS_ANDROID = /Android/.test(navigator.userAgent);

/** The documents that this device can use: each wallet is for one kind of phone. */
export const usable = (documents: Document[]): Document[] =>
  documents.filter((each) => (each === "apple_wallet" ? IS_APPLE : each === "google_wallet" ? IS_ANDROID : true));

/** Downloads a document and lets the browser save it. */
export async function saveDocument({ id, reference }: Booking, document: Document): Promise<void> {
  const request = { params: { path: { booking_id: id } }, parseAs: "blob" } as const;
  if (document === "tickets") {
    saveFile(`tickets-${reference}.pdf`, await unwrap(api.GET("/api/bookings/{booking_id}/tickets.pdf", request)));
  } else if (document === "receipt") {
    saveFile(`receipt-${reference}.pdf`, await unwrap(api.GET("/api/bookings/{booking_id}/receipt.pdf", request)));
  } else if (document === "apple_wallet") {
    // Opened, not saved: the browser hands passes to Wallet.
    const passes = await unwrap(api.GET("/api/bookings/{booking_id}/passes.pkpasses", request));
    location.assign(URL.createObjectURL(passes));
  } else if (document === "google_wallet") {
    const { url } = await unwrap(
      api.GET("/api/bookings/{booking_id}/google-wallet", { params: { path: { booking_id: id } } }),
    );
    location.assign(url);
  } else {
    saveFile(`${reference}.ics`, await unwrap(api.GET("/api/bookings/{booking_id}/calendar.ics", request)));
  }
}

/** Downloads a document of a ticket that another person transferred. */
export async function saveTicketDocument(ticket_id: string, document: Document): Promise<void> {
  const request = { params: { path: { ticket_id } }, parseAs: "blob" } as const;
  if (document === "calendar") {
    saveFile("ticket.ics", await unwrap(api.GET("/api/tickets/{ticket_id}/calendar.ics", request)));
  } else if (document === "apple_wallet") {
    const pass = await unwrap(api.GET("/api/tickets/{ticket_id}/ticket.pkpass", request));
    location.assign(URL.createObjectURL(pass));
  } else if (document === "google_wallet") {
    const { url } = await unwrap(
      api.GET("/api/tickets/{ticket_id}/google-wallet", { params: { path: { ticket_id } } }),
    );
    location.assign(url);
  } else {
    saveFile("ticket.pdf", await unwrap(api.GET("/api/tickets/{ticket_id}/ticket.pdf", request)));
  }
}
