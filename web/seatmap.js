// The seat map: one real button per seat on a grid of half seats, so that aisles and gaps are where they are.

import { announce, capital, h, mark, money, words } from "./dom.js";

const MARKED = ["love_seat", "wheelchair", "companion"];
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class SeatMap {
  /**
   * `layout` is inventory's; `prices` gives {amount, currency} of a category; `onchange` is called when what is chosen
   * changes, with the seats that were lost to somebody else.
   */
  constructor(layout, prices, { most, onchange }) {
    Object.assign(this, { layout, prices, most, onchange, chosen: new Set(), own: new Set(), isOpen: true });
    this.taken = new Map();
    this.seats = new Map(layout.seats.map((seat) => [seat.seat_id, seat]));
    this.buttons = new Map(layout.seats.map((seat) => [seat.seat_id, this.#button(seat)]));
    this.element = this.#draw();
    this.#makeReachable(this.layout.seats[0]?.seat_id);
  }

  /** The whole state: {seat: "held" | "sold" | "blocked"}. */
  replace(taken) {
    this.#update(new Map(Object.entries(taken)));
  }

  /** One change as it happens. */
  change({ type, seats, state }) {
    const taken = new Map(this.taken);
    for (const seat of seats) {
      if (type === "seat:release") taken.delete(seat);
      else taken.set(seat, type === "seat:book" ? "sold" : state);
    }
    this.#update(taken);
  }

  /** Where the hall is wider than the screen, begin in its middle. To be called once the map is on the page. */
  center() {
    this.element.scrollLeft = (this.element.scrollWidth - this.element.clientWidth) / 2;
  }

  /** These seats are the customer's own now, whatever the state says. */
  keep(seats) {
    this.own = new Set(seats);
    for (const seat of seats) this.chosen.delete(seat);
    this.#update(this.taken);
  }

  /** Whether seats can be chosen at present. */
  open(isOpen) {
    this.isOpen = isOpen;
    for (const seat of this.seats.keys()) this.#paint(seat);
  }

  #update(taken) {
    const changed = [...this.seats.keys()].filter((seat) => taken.get(seat) !== this.taken.get(seat));
    this.taken = taken;
    const lost = changed.filter((seat) => this.chosen.has(seat) && this.#state(seat) !== "chosen");
    for (const seat of lost) this.chosen.delete(seat);
    for (const seat of this.seats.keys()) this.#paint(seat);
    if (lost.length) this.onchange(lost);
  }

  #state(seat) {
    if (this.own.has(seat)) return "own";
    const taken = this.taken.get(seat);
    if (taken) return taken === "held" ? "held" : "sold";
    return this.chosen.has(seat) ? "chosen" : "free";
  }

  #toggle(seat) {
    const state = this.#state(seat);
    if (!this.isOpen || !["free", "chosen"].includes(state)) return;
    if (state === "chosen") this.chosen.delete(seat);
    else if (this.chosen.size < this.most) this.chosen.add(seat);
    else return announce(`You can choose at most ${this.most} seats.`);
    this.#paint(seat);
    this.onchange([]);
  }

  #button({ seat_id: seat, x, y, category }) {
    const button = h("button", {
      type: "button", class: "seat", tabindex: -1, "data-category": category,
      onclick: () => this.#toggle(seat),
      onkeydown: (event) => this.#move(event, seat),
      onfocus: () => this.#makeReachable(seat),
    });
    button.style.gridArea = `${2 * y + 1} / ${2 * x + 3} / span 2 / span 2`;
    return button;
  }

  #paint(seat) {
    const button = this.buttons.get(seat);
    const state = this.#state(seat);
    const key = `${state}${this.isOpen}`;
    if (button.dataset.painted === key) return;
    const { row, number, category } = this.seats.get(seat);
    const said = { free: "available", chosen: "chosen", own: "yours", held: "not available", sold: "not available" }[state];
    const price = this.prices(category);
    const label = [`Row ${row}`, `seat ${number}`, words(category), price && money(price.amount, price.currency), said];
    button.dataset.painted = key;
    button.dataset.state = state;
    button.setAttribute("aria-label", label.filter(Boolean).join(", "));
    button.title = capital(label.filter(Boolean).slice(0, -1).join(", "));
    button.setAttribute("aria-pressed", ["chosen", "own"].includes(state));
    button.setAttribute("aria-disabled", !this.isOpen || !["free", "chosen"].includes(state));
    button.replaceChildren(face(state, category, number));
  }

  /** One seat at a time is in the tab order; the arrow keys go to the others. */
  #makeReachable(seat) {
    this.buttons.get(this.reachable)?.setAttribute("tabindex", -1);
    this.buttons.get(seat)?.setAttribute("tabindex", 0);
    this.reachable = seat;
  }

  #move(event, from) {
    const direction = MOVES[event.key];
    if (!direction) return;
    event.preventDefault();
    const [dx, dy] = direction;
    const { x, y } = this.seats.get(from);
    const distance = (seat) => {
      const [along, across] = dx ? [(seat.x - x) * dx, Math.abs(seat.y - y)] : [(seat.y - y) * dy, Math.abs(seat.x - x)];
      return along > 0 && (!dx || across === 0) ? along * 100 + across : Infinity;
    };
    const next = this.layout.seats.reduce((best, seat) => (distance(seat) < distance(best) ? seat : best), { x: NaN, y: NaN });
    this.buttons.get(next.seat_id)?.focus();
  }

  #draw() {
    const { columns } = this.layout;
    const rows = new Map(this.layout.seats.map((seat) => [seat.row, seat.y]));
    const letters = [...rows].flatMap(([row, y]) => [1, 2 * columns + 3].map((column) => {
      const letter = h("span", { class: "row-letter", "aria-hidden": "true" }, row);
      letter.style.gridArea = `${2 * y + 1} / ${column} / span 2 / span 2`;
      return letter;
    }));
    const grid = h("div", { class: "seats", role: "group", "aria-label": "Seats. Arrow keys move, space chooses." },
      ...letters, ...this.buttons.values());
    grid.style.gridTemplateColumns = `repeat(${2 * columns + 4}, calc(var(--seat) / 2))`;
    const hall = h("div", { class: "hall" }, h("div", { class: "screen" }, "Screen"), grid);
    hall.style.setProperty("--columns", columns + 2);
    return h("div", { class: "map" }, hall);
  }
}

function face(state, category, number) {
  if (state === "chosen" || state === "own") return mark("chosen");
  if (state === "sold") return mark("gone");
  if (state === "held") return h("span", { "aria-hidden": "true" }, "·");
  return MARKED.includes(category) ? mark(category) : h("span", { "aria-hidden": "true" }, String(number));
}

/** What the shapes and colours mean, with the price of an adult. */
export function legend(layout, prices) {
  const categories = [...new Set(layout.seats.map((seat) => seat.category))];
  const sample = (category, state) =>
    h("span", { class: "seat", "data-category": category, "data-state": state, "aria-hidden": "true" }, face(state, category, 7));
  const kinds = categories.map((category) => {
    const price = prices(category);
    return h("li", {}, sample(category, "free"), capital(words(category)),
      price && h("span", { class: "quiet" }, money(price.amount, price.currency)));
  });
  const states = [["chosen", "Your choice"], ["held", "Held by others"], ["sold", "Not available"]];
  return h("ul", { class: "legend", "aria-label": "Legend" },
    ...kinds, ...states.map(([state, text]) => h("li", {}, sample("standard", state), text)));
}
