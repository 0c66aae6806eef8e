import { named, t } from "../i18n";
import { money } from "../lib/format";
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

/** `Row F, seat 7`. */
export const place = (seat: { row: string; number: number }) => t("seat.place", { row: seat.row, number: seat.number });

/** `vip, €15.90`. */
export function kind(seat: Seat, prices: Prices): string {
  const price = prices(seat.category);
  return [named("category", seat.category), price && money(price.amount, price.currency)].filter(Boolean).join(", ");
}

/** `Row F, seat 7, vip, €15.90, available`. */
export const fullLabel = (seat: Seat, state: SeatState, prices: Prices) =>
  `${place(seat)}, ${kind(seat, prices)}, ${t(SAID[state])}`;
