import { named, t } from "../i18n";
import { list, money } from "../lib/format";
import type { Seat } from "./layout";
import type { SeatState } from "./store";

/** The adult price of each seat category; null if it is not sold. */
export type Prices = (category: string) => { amount: number; currency: string } | null;

interface Priced {
  prices: { category: string; ticket_type: string; amount: number }[];
  currency: string;
}

export function adultPrices({ prices, currency }: Priced): Prices {
  const amounts = new Map(
    prices.filter((price) => price.ticket_type === "adult").map((price) => [price.category, price.amount]),
  );
  return (category) => {
    const amount = amounts.get(category);
    return amount === undefined ? null : { amount, currency };
  };
}

const SAID: Record<SeatState, "seat.free" | "seat.wanted" | "seat.own" | "seat.gone"> = {
  free: "seat.free",
  wanted: "seat.wanted",
  own: "seat.own",
  held: "seat.gone",
  gone: "seat.gone",
};

/** What people call a seat. Its `seat_id` means nothing to them. */
export type Named = Pick<Seat, "area" | "row" | "number" | "suffix">;

/** The number on the seat: `12a`. */
export const numberOf = ({ number, suffix }: Named) => `${number}${suffix ?? ""}`;

/** `Row F, seat 7`, after the area if there is one. */
export const place = (seat: Named) =>
  t(seat.area ? "seat.placeIn" : "seat.place", { area: seat.area ?? "", row: seat.row, number: numberOf(seat) });

/** `F7`; `3/7` for seat 7 of a row whose name is not a few letters. */
const short = (seat: Named) => `${seat.row}${/^\p{L}{1,3}$/u.test(seat.row) ? "" : "/"}${numberOf(seat)}`;

/** `F7`, `F8` and `G7`; areas are named where they change: `Circle F7`, `F8` and `Stalls A1`. */
export const names = (seats: readonly Named[]): string =>
  list(
    seats.map((seat, index) =>
      seat.area && seat.area !== seats[index - 1]?.area ? `${seat.area} ${short(seat)}` : short(seat),
    ),
  );

/** `vip, €15.90`. */
export function kind(seat: Seat, prices: Prices): string {
  const price = prices(seat.category);
  return [named("category", seat.category), price && money(price.amount, price.currency)].filter(Boolean).join(", ");
}

/** `Row F, seat 7, vip, €15.90, available`. */
export const fullLabel = (seat: Seat, state: SeatState, prices: Prices) =>
  [place(seat), kind(seat, prices), seat.pair && t("seat.couchNote"), t(SAID[state])].filter(Boolean).join(", ");
