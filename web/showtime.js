// A showtime: its live seat map on one side, the order on the other.

import { call } from "./http.js";
import { announce, clock, count, day, h, languageName, link } from "./dom.js";
import { Live } from "./live.js";
import { Order } from "./order.js";
import { SeatMap, legend } from "./seatmap.js";

const MOST_SEATS = 10;

export async function showtimePage(showtimeId) {
  const id = encodeURIComponent(showtimeId);
  const [showtime, seating] = await Promise.all([
    call("GET", `/api/showtimes/${id}`),
    call("GET", `/api/showtimes/${id}/seats`),
  ]);
  const prices = adultPrices(showtime);
  const status = h("p", { class: "live quiet", role: "status" }, "Connecting…");
  const free = h("p", { class: "quiet" });
  const map = new SeatMap(seating.layout, prices, { most: MOST_SEATS, onchange: (lost) => order.chosenChanged(lost) });
  const order = new Order(showtime, map, Date.parse(seating.server_time) - Date.now());
  const counted = () => (free.textContent = `${count(map.seats.size - map.taken.size, "seat")} free of ${map.seats.size}`);
  map.replace(seating.taken);
  counted();

  const live = new Live(showtimeId, {
    snapshot(update) {
      map.replace(update.seats);
      counted();
      if (update.cancelled) order.cancelled();
    },
    change(message) {
      map.change(message);
      counted();
    },
    booking: (update) => order.bookingChanged(update),
    status(state) {
      const isLive = state === "live";
      if (!isLive && status.dataset.state === "live") announce("The connection was lost. Reconnecting.");
      status.dataset.state = state;
      status.textContent = isLive ? "Live: changes appear as they happen" : "Connection lost, reconnecting…";
    },
  });
  order.followed = (secret) => live.authenticate(secret);
  const signedInOrOut = () => {
    live.authenticate();
    order.refresh();
  };
  document.addEventListener("usher:session", signedInOrOut);
  const closed = whyClosed(seating);
  await order.start(closed);

  return {
    title: showtime.movie_title,
    content: [
      h("header", { class: "showtime" },
        h("p", {}, link(`/movies/${showtime.movie_id}`, {}, "← All showtimes")),
        h("h1", {}, showtime.movie_title),
        h("p", {}, `${day(showtime.starts_at, showtime.time_zone)}, ${clock(showtime.starts_at, showtime.time_zone)} · `,
          `${showtime.theater_name}, ${showtime.city}, ${showtime.auditorium_name}`),
        h("p", { class: "quiet" }, [showtime.format, languageName(showtime.language), showtime.certificate].join(" · "))),
      h("div", { class: "selling" },
        h("section", { class: "choice", "aria-label": "Seat map" },
          h("div", { class: "state" }, free, status), map.element, legend(seating.layout, prices)),
        order.element),
    ],
    shown: () => map.center(),
    leave() {
      document.removeEventListener("usher:session", signedInOrOut);
      live.close();
      order.leave();
    },
  };
}

/** A function from a seat category to what an adult pays for it. */
function adultPrices({ prices, currency }) {
  const amounts = new Map(prices.filter((price) => price.ticket_type === "adult").map((price) => [price.category, price.amount]));
  return (category) => (amounts.has(category) ? { amount: amounts.get(category), currency } : null);
}

/** A sentence that says why nothing is sold now; empty when it is. */
function whyClosed({ cancelled, server_time, sales_open_at, sales_close_at }) {
  const now = Date.parse(server_time);
  if (cancelled) return "This showtime has been cancelled.";
  if (now < Date.parse(sales_open_at)) return "Sales have not begun yet.";
  if (now >= Date.parse(sales_close_at)) return "Sales for this showtime are over.";
  return "";
}
