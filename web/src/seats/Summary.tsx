import { useState } from "react";
import { named, t, tn } from "../i18n";
import { money } from "../lib/format";
import { Button } from "../ui/Button";
import { Countdown } from "../ui/Countdown";
import { names, type Prices, place } from "./labels";
import type { Seat } from "./layout";

interface SummaryProps {
  seats: Seat[];
  prices: Prices;
  currency: string;
  party: number;
  seconds: number | null;
  isBusy: boolean;
  inCheckout: boolean;
  /** Why no seats can be selected; empty if they can. */
  closed: string;
  onDrop: (seat: Seat) => void;
  onContinue: () => Promise<void>;
}

/** The selection, its price, the time left and a button: next to the map, or as a bottom sheet on phones. */
export function Summary({
  seats,
  prices,
  currency,
  party,
  seconds,
  isBusy,
  inCheckout,
  closed,
  onDrop,
  onContinue,
}: SummaryProps) {
  const [isGoing, setGoing] = useState(false);
  const total = seats.reduce((sum, seat) => sum + (prices(seat.category)?.amount ?? 0), 0);
  const missing = party - seats.length;
  const go = async () => {
    setGoing(true);
    await onContinue().finally(() => setGoing(false));
  };
  return (
    <section
      aria-labelledby="summary"
      className="sheet z-20 border-line bg-paper lg:sticky lg:top-20 lg:rounded-(--radius-card) lg:border lg:p-5"
    >
      <div
        className={`mb-2 flex min-h-9 items-center justify-between gap-3 max-lg:mb-0 ${seats.length ? "" : "max-lg:sr-only"}`}
      >
        <h2 id="summary" className="text-lg sm:text-lg">
          {seats.length ? tn("summary.seats", seats.length) : t("summary.title")}
          {seats.length > 0 && <span className="tabular-nums lg:hidden"> · {money(total, currency)}</span>}
        </h2>
        {seconds !== null && <Countdown seconds={seconds} />}
      </div>
      {seats.length > 0 && (
        <ul className="flex gap-2 lg:mb-2 lg:grid">
          {seats.map((seat) => (
            <SeatLine key={seat.seat_id} seat={seat} prices={prices} isFixed={inCheckout} onDrop={() => onDrop(seat)} />
          ))}
        </ul>
      )}
      {seats.length > 0 && (
        <p className="mb-3 flex flex-wrap items-baseline justify-between gap-x-3 max-lg:mb-1">
          <span className="text-sm text-quiet max-lg:text-xs">{t("summary.allIn")}</span>
          <b className="text-xl tabular-nums max-lg:hidden">{money(total, currency)}</b>
        </p>
      )}
      <p id="summary-why" role="status" className="mb-2 text-sm text-quiet empty:hidden">
        {closed || (seats.length === 0 ? t("summary.none") : missing > 0 ? tn("summary.missing", missing) : "")}
      </p>
      <Button
        className="w-full"
        disabled={Boolean(closed) || seats.length === 0}
        busy={isGoing}
        aria-describedby="summary-why"
        onClick={() => void go()}
      >
        {t(isBusy && !isGoing ? "summary.holding" : inCheckout ? "summary.goOn" : "summary.continue")}
      </Button>
    </section>
  );
}

interface SeatLineProps {
  seat: Seat;
  prices: Prices;
  isFixed: boolean;
  onDrop: () => void;
}

function SeatLine({ seat, prices, isFixed, onDrop }: SeatLineProps) {
  const price = prices(seat.category);
  return (
    <li className="relative flex items-center justify-between gap-2 rounded-lg bg-raised py-0.5 pl-3 text-sm">
      <span className="lg:hidden">
        <b>{names([seat])}</b>
      </span>
      <span className="max-lg:sr-only">
        <b>{place(seat)}</b>
        <span className="block text-quiet first-letter:uppercase">{named("category", seat.category)}</span>
      </span>
      <span className="ml-auto tabular-nums max-lg:hidden">{price && money(price.amount, price.currency)}</span>
      {isFixed ? (
        <span className="h-11 w-3" />
      ) : (
        <button
          type="button"
          onClick={onDrop}
          aria-label={t("summary.drop", { seat: place(seat) })}
          className="grid size-11 place-items-center rounded-lg text-lg text-quiet hover:text-ink"
        >
          ×
        </button>
      )}
    </li>
  );
}
