// The order beside the seat map: choose → hold → tickets and e-mail → card → confirmed. Each step draws the panel anew.

import { Problem, call, session } from "./http.js";
import { announce, capital, clock, count, h, money, notice, words } from "./dom.js";
import { Countdown } from "./countdown.js";
import { cardForm } from "./stripe.js";
import { ticketCards } from "./tickets.js";

const KEPT = "usher.order";
const ASK_EVERY_MS = 2000;
const OVER = ["expired", "cancelled", "refunded", "exchanged"];
const ENDED = {
  expired: "The time for this booking is over. No money was taken.",
  cancelled: "This booking was cancelled.",
  refunded: "These seats could not be sold to you any more. Your money is on its way back.",
  exchanged: "This booking was exchanged for another one.",
};

/** Kept for this browser tab, so that a reload goes on where it was: {hold_id, showtime_id, secret}. */
const kept = {
  get: () => JSON.parse(sessionStorage.getItem(KEPT) ?? "null"),
  set: (hold) => sessionStorage.setItem(KEPT, JSON.stringify(hold)),
  drop: () => sessionStorage.removeItem(KEPT),
};

export class Order {
  /** `ahead`: milliseconds that the server's clock is ahead of this one's. */
  constructor(showtime, map, ahead) {
    Object.assign(this, { showtime, map, hold: null, booking: null, closed: "", followed: () => {} });
    this.countdown = new Countdown(ahead, () => this.refresh());
    this.element = h("aside", { class: "order", "aria-label": "Your order" });
  }

  /** Begin, or go on with what this tab was at. `closed` says why nothing is sold, if so. */
  async start(closed) {
    this.closed = closed;
    const known = kept.get();
    if (known?.showtime_id !== this.showtime.id) return this.#choosing();
    this.hold = known;
    this.followed(known.secret);
    await this.refresh();
  }

  leave() {
    this.countdown.stop();
    clearTimeout(this.asking);
  }

  cancelled() {
    this.closed = "This showtime has been cancelled.";
    if (!this.hold) this.#choosing();
  }

  /** Somebody clicked a seat, or chosen seats were lost to somebody else. */
  chosenChanged(lost) {
    if (this.hold) return;
    this.#choosing(lost.length ? notice(`${lost.join(", ")} ${lost.length === 1 ? "was" : "were"} just taken.`, "bad") : null);
  }

  /** News of a booking over the WebSocket: a hint to ask. */
  bookingChanged({ booking_id }) {
    if (booking_id === this.hold?.hold_id) this.refresh();
  }

  #show(title, ...content) {
    this.element.classList.toggle("idle", !this.hold && !this.map.chosen.size);
    this.element.classList.toggle("choosing", !this.hold && this.map.chosen.size > 0);
    this.element.replaceChildren(h("h2", {}, title), ...content.flat().filter(Boolean));
    if (this.hold) this.element.scrollIntoView({ block: "nearest" });
  }

  // ------------------------------------------------------------------ choosing

  #choosing(message = null) {
    const seats = [...this.map.chosen].map((id) => this.map.seats.get(id));
    this.map.open(!this.closed);
    if (this.closed) return this.#show("Not on sale", notice(this.closed));
    const total = seats.reduce((sum, seat) => sum + (this.map.prices(seat.category)?.amount ?? 0), 0);
    const button = h("button", { class: "main", disabled: !seats.length, onclick: () => this.#hold(button) },
      seats.length ? `Hold ${count(seats.length, "seat")}` : "Choose your seats");
    return this.#show("Your seats", message,
      seats.length
        ? h("p", {}, h("b", {}, seats.map((seat) => seat.seat_id).join(", ")), ` · ${money(total, this.showtime.currency)} for adults`)
        : h("p", { class: "quiet" }, "Click seats in the map, up to ten. They are kept for you for some minutes when you hold them."),
      h("div", { class: "actions" }, button));
  }

  async #hold(button) {
    const seats = [...this.map.chosen];
    button.disabled = true;
    this.map.open(false);
    this.map.keep(seats);
    this.hold = {};
    try {
      const made = await call("POST", `/api/showtimes/${this.showtime.id}/holds`, { body: { seats } });
      this.hold = { hold_id: made.hold_id, showtime_id: made.showtime_id, secret: made.secret };
      kept.set(this.hold);
      this.followed(made.secret);
      announce(`${count(seats.length, "seat")} held for you.`);
      this.#tickets(made);
    } catch (problem) {
      this.hold = null;
      this.map.keep([]);
      for (const seat of seats) if (!problem.seats?.includes(seat) && !this.map.taken.has(seat)) this.map.chosen.add(seat);
      this.#choosing(notice(problem.message, "bad"));
    }
  }

  // ------------------------------------------------------------------ held: tickets and e-mail

  #tickets(hold) {
    this.map.open(false);
    this.map.keep(hold.seats.map((seat) => seat.seat_id));
    const total = h("b", {});
    const rows = hold.seats.map((seat) => this.#ticketRow(seat, () => update()));
    const button = h("button", { class: "main" });
    const update = () => {
      const amount = rows.reduce((sum, row) => sum + row.amount(), 0);
      total.textContent = money(amount, this.showtime.currency);
      button.textContent = amount ? "Continue to payment" : "Get the tickets";
    };
    const form = h("form", { onsubmit: (event) => this.#checkOut(event, rows, button, fault) },
      h("fieldset", {}, h("legend", { class: "unseen" }, "Ticket types"), rows.map((row) => row.element)),
      h("label", {}, "E-mail for the tickets",
        h("input", { name: "email", type: "email", autocomplete: "email", required: true, maxlength: 254, value: session.user?.email })),
      h("p", { class: "total" }, "Total ", total, h("span", { class: "quiet" }, " taxes and fees included")),
      h("div", { class: "actions" }, button,
        h("button", { type: "button", class: "plain", onclick: () => this.#letGo() }, "Let the seats go")));
    const fault = h("div");
    form.lastElementChild.before(fault);
    update();
    this.countdown.run(hold.expires_at, hold.renewable_until ? () => this.#renew() : null);
    this.#show("Your tickets", this.countdown.element, form);
  }

  #ticketRow(seat, onchange) {
    const types = this.showtime.prices.filter((price) => price.category === seat.category);
    const select = h("select", { onchange, "aria-label": `Ticket for seat ${seat.seat_id}` },
      types.map(({ ticket_type: type, amount }) =>
        h("option", { value: type }, `${capital(words(type))}, ${money(amount, this.showtime.currency)}`)));
    return {
      choice: () => ({ seat_id: seat.seat_id, ticket_type: select.value }),
      amount: () => types[select.selectedIndex]?.amount ?? 0,
      element: h("label", { class: "ticket-row" }, h("span", {}, h("b", {}, seat.seat_id), ` ${words(seat.category)}`), select),
    };
  }

  async #checkOut(event, rows, button, fault) {
    event.preventDefault();
    button.disabled = true;
    const email = new FormData(event.target).get("email");
    const body = { hold_id: this.hold.hold_id, tickets: rows.map((row) => row.choice()), email, locale: "en" };
    try {
      this.#follow(await call("POST", "/api/bookings", { body, secret: this.hold.secret }));
    } catch (problem) {
      if (problem.code === "hold_expired") return this.#over(problem.message);
      button.disabled = false;
      fault.replaceChildren(notice(problem.message, "bad"));
    }
  }

  async #renew() {
    const { hold_id, secret } = this.hold;
    try {
      const hold = await call("POST", `/api/holds/${hold_id}/renew`, { secret });
      this.countdown.run(hold.expires_at);
      announce("Your seats are kept longer.");
    } catch (problem) {
      this.countdown.say(problem.message);
    }
  }

  async #letGo() {
    const { hold_id, secret } = this.hold;
    const isCheckedOut = this.booking?.state === "awaiting_payment";
    try {
      if (isCheckedOut) await call("POST", `/api/bookings/${hold_id}/cancel`, { secret });
      else await call("DELETE", `/api/holds/${hold_id}`, { secret });
      this.#over(isCheckedOut ? "The booking was cancelled. No money was taken." : "The seats are free again.", "");
    } catch (problem) {
      announce(problem.message);
      await this.refresh();
    }
  }

  #over(message, kind = "bad") {
    kept.drop();
    this.leave();
    Object.assign(this, { hold: null, booking: null });
    this.map.keep([]);
    this.#choosing(notice(message, kind));
  }

  // ------------------------------------------------------------------ checked out: pay, and follow the booking

  /** Ask how the booking stands and show that. */
  async refresh() {
    if (!this.hold?.hold_id) return;
    const { hold_id, secret } = this.hold;
    try {
      const booking = await call("GET", `/api/bookings/${hold_id}`, { secret });
      if (booking.state === "held") return await this.#resumeHold();
      this.#follow(booking);
    } catch (problem) {
      this.#cannotAsk(problem);
    }
  }

  async #resumeHold() {
    if (this.element.querySelector("form") && !this.countdown.isOver) return;
    this.#tickets(await call("GET", `/api/holds/${this.hold.hold_id}`, { secret: this.hold.secret }));
  }

  #cannotAsk(problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 410) return this.#over(problem.message);
    if (problem.status === 404) return this.#over("These seats are no longer held for you.");
    const again = h("button", { class: "main", onclick: () => this.refresh() }, "Try again");
    const text = problem.status === 401 ? "Sign in again to go on with your order." : problem.message;
    return this.#show("Your order", notice(text, "bad"), h("div", { class: "actions" }, again));
  }

  #follow(booking) {
    const before = this.booking?.state;
    this.booking = booking;
    clearTimeout(this.asking);
    this.map.open(false);
    this.map.keep(OVER.includes(booking.state) ? [] : booking.seats.map((seat) => seat.seat_id));
    if (OVER.includes(booking.state)) return this.#over(ENDED[booking.state]);
    if (booking.state === "confirmed") return this.#confirmed();
    this.asking = setTimeout(() => this.refresh(), ASK_EVERY_MS);
    if (booking.state === before) return;
    if (booking.state === "awaiting_payment") this.#paying();
    else this.#waiting();
  }

  async #paying() {
    const { amount, currency, payment_deadline_at, reference } = this.booking;
    const place = h("div", { class: "card-form" }, h("p", { class: "quiet" }, "Loading the card form…"));
    const fault = h("div");
    const button = h("button", { class: "main", disabled: true }, `Pay ${money(amount, currency)}`);
    this.countdown.run(payment_deadline_at);
    this.#show("Payment", this.countdown.element,
      h("p", {}, "Booking ", h("b", {}, reference), " · ", this.booking.seats.map((seat) => seat.seat_id).join(", ")),
      place, fault,
      h("div", { class: "actions" }, button, h("button", { class: "plain", onclick: () => this.#letGo() }, "Cancel the booking")));
    try {
      const pay = await cardForm(place, this.hold.hold_id, this.hold.secret);
      button.disabled = false;
      button.onclick = () => this.#pay(pay, button, fault);
    } catch (problem) {
      const again = h("button", { class: "plain", onclick: () => this.#paying() }, "Try again");
      place.replaceChildren(notice(problem.message, "bad"), again);
    }
  }

  async #pay(pay, button, fault) {
    button.disabled = true;
    fault.replaceChildren();
    const refused = await pay();
    if (refused) {
      fault.replaceChildren(notice(`${refused} Your seats are still kept.`, "bad"));
      button.disabled = false;
    } else if (this.booking?.state === "awaiting_payment") {
      this.#waiting();
      await this.refresh();
    }
  }

  #waiting() {
    this.countdown.stop();
    const texts = {
      refunding: "The seats could not be sold to you any more. Your money goes back; this takes a moment.",
      closing: "The booking is being closed. If your payment arrives first, you get your tickets.",
    };
    this.#show("Confirming", h("p", { role: "status", class: "busy" },
      texts[this.booking.state] ?? "Your payment is being confirmed. This page shows your tickets in a moment."));
  }

  #confirmed() {
    const { reference, screening, tickets, email, amount, currency } = this.booking;
    this.leave();
    kept.drop();
    announce("Your booking is confirmed.");
    const more = () => {
      Object.assign(this, { hold: null, booking: null });
      this.map.keep([]);
      this.#choosing();
    };
    this.#show("Enjoy the film!",
      h("p", {}, `${screening.movie_title}, ${clock(screening.starts_at, screening.time_zone)}, ${screening.auditorium_name}`),
      h("p", { class: "total" }, "Booking ", h("b", { class: "reference" }, reference), ` · ${money(amount, currency)}`),
      h("p", {}, `Your tickets are on their way to ${email}.`),
      ticketCards(tickets, currency),
      h("div", { class: "actions" }, h("button", { class: "plain", onclick: more }, "Buy more seats")));
    this.element.querySelector("h2").tabIndex = -1;
    this.element.querySelector("h2").focus();
  }
}
