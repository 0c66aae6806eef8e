// The kinds of seats that "Best seats" can be asked for: one category, or any.

import type { Prices } from "./labels";
import { type Layout, RESERVED } from "./layout";

/** A category with its adult price. `isCheapest`: no other category costs less, and one costs more. */
export interface Kind {
  category: string;
  amount: number;
  currency: string;
  isCheapest: boolean;
}

/** The category of most seats for everybody, `standard` if there are any: nobody pays more without asking for it. */
export function standard(layout: Layout): string {
  const counts = new Map<string, number>();
  for (const { category } of layout.seats)
    if (!RESERVED.includes(category)) counts.set(category, (counts.get(category) ?? 0) + 1);
  if (counts.has("standard")) return "standard";
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0] ?? "";
}

/** The categories for everybody that are sold, the cheapest first. */
export function kindsOf(layout: Layout, prices: Prices): Kind[] {
  const categories = [...new Set(layout.seats.map((seat) => seat.category))];
  const sold = categories.flatMap((category) => {
    const price = RESERVED.includes(category) ? null : prices(category);
    return price ? [{ category, ...price }] : [];
  });
  const amounts = sold.map((each) => each.amount);
  const [least, most] = [Math.min(...amounts), Math.max(...amounts)];
  return sold
    .sort((one, other) => one.amount - other.amount)
    .map((each) => ({ ...each, isCheapest: each.amount === least && least < most }));
}
