// The tickets of a confirmed booking.

import { capital, h, money, words } from "./dom.js";
import { qrCode } from "./qr.js";

/** One card per ticket with the code that the door reads. */
export function ticketCards(tickets, currency) {
  return h("ul", { class: "tickets" }, tickets.map(({ seat, ticket_type, amount, qr }) =>
    h("li", {},
      h("div", {},
        h("b", {}, `Row ${seat.row}, seat ${seat.number}`),
        h("span", {}, `${capital(words(ticket_type))}, ${money(amount, currency)}`)),
      qrCode(qr, `QR code of the ticket for seat ${seat.seat_id}`))));
}
