import { named, t } from "../i18n";
import { money } from "../lib/format";
import type { Prices } from "./labels";
import type { Layout } from "./layout";
import { SampleSeat } from "./shapes";
import type { SeatState } from "./store";

const STATES: [SeatState, "legend.own" | "legend.held" | "legend.gone"][] = [
  ["own", "legend.own"],
  ["held", "legend.held"],
  ["gone", "legend.gone"],
];

/** Explains the shapes and marks, with the adult prices. */
export function Legend({ layout, prices }: { layout: Layout; prices: Prices }) {
  const categories = [...new Set(layout.seats.map((seat) => seat.category))];
  return (
    <div className="card p-4 text-sm">
      <h2 className="sr-only">{t("legend.title")}</h2>
      <ul className="flex flex-wrap gap-x-5 gap-y-2.5">
        {categories.map((category) => {
          const price = prices(category);
          return (
            <li key={category} className="flex items-center gap-2">
              <SampleSeat category={category} state="free" number={7} />
              <span>
                <span className="block leading-tight first-letter:uppercase">{named("category", category)}</span>
                {price && <span className="block leading-tight text-quiet">{money(price.amount, price.currency)}</span>}
              </span>
            </li>
          );
        })}
        {STATES.map(([state, key]) => (
          <li key={state} className="flex items-center gap-2">
            <SampleSeat category="standard" state={state} />
            {t(key)}
          </li>
        ))}
      </ul>
      <p className="mt-2 text-quiet">{t("legend.adult")}</p>
    </div>
  );
}
