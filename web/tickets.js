// The tickets of a confirmed booking.

import { capital, h, money, words } from "./dom.js";
import { qrCode } from "./qr.js";

/** One card per ticket with the code that the door reads. */
export function ticketCards(tickets, currency) {
  return h("ul", { class: "tickets" }, tickets.map((ticket) =>
    h("li", {},
      qrCode(ticket.qr, `QR code of the ticket for seat ${ticket.seat.seat_id}`),
      h("div", {},
        h("b", {}, `Row ${ticket.seat.row}, seat ${ticket.seat.number}`),
        h("span", {}, `${capital(words(ticket.ticket_type))}, ${money(ticket.amount, currency)}`)))));
}
