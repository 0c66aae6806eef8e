import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { showtimeQuery } from "../films/queries";
import { named, t } from "../i18n";
import { clock, longDay, money } from "../lib/format";
import { names, place } from "../seats/labels";
import { Button, ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { type Exchanging, endExchange, startExchange } from "./exchanging";
import type { Booking } from "./queries";

/** The way to an exchange: choose tickets, then where to look for new seats. */
export function Exchange({ booking }: { booking: Booking }) {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);
  useEffect(endExchange, []); // going back to the booking gives it up
  useEffect(() => {
    if (wasOpen.current && !isOpen) opener.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  const { refund_policy, screening, currency, choice } = booking;
  if (!refund_policy || !screening || !currency || !(choice || refund_policy.exchange.max_exchanges)) return null;
  if (Date.parse(screening.ends_at) < Date.now()) return null;
  const { fee, minutes_before_start } = refund_policy.exchange;
  const until = new Date(Date.parse(screening.starts_at) - minutes_before_start * 60_000).toISOString();
  const time = `${longDay(until, screening.time_zone)}, ${clock(until, screening.time_zone)}`;
  return (
    <section className="no-print card mt-6 grid justify-items-start gap-3 p-5" aria-labelledby="exchanging">
      <h2 id="exchanging" className="text-lg">
        {t("exchange.title")}
      </h2>
      <p className="text-quiet">
        {choice
          ? t("choice.exchangeText")
          : fee
            ? t("exchange.termsFee", { time, fee: money(fee, currency) })
            : t("exchange.terms", { time })}
      </p>
      {isOpen ? (
        <Choice booking={booking} onClose={() => setOpen(false)} />
      ) : (
        <Button ref={opener} look="plain" onClick={() => setOpen(true)}>
          {t("exchange.open")}
        </Button>
      )}
    </section>
  );
}

function Choice({ booking, onClose }: { booking: Booking; onClose: () => void }) {
  const tickets = booking.tickets.filter(({ status }) => status === "valid");
  const [chosen, setChosen] = useState(() => tickets.map(({ ticket_id }) => ticket_id));
  const showtime = useQuery(showtimeQuery(booking.showtime_id));
  const first = useRef<HTMLHeadingElement>(null);
  useEffect(() => first.current?.focus(), []);
  const toggle = (id: string) =>
    setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  const start = () =>
    startExchange(
      booking,
      tickets.filter(({ ticket_id }) => chosen.includes(ticket_id)),
    );
  return (
    <div className="grid w-full justify-items-start gap-3">
      <h3 ref={first} tabIndex={-1}>
        {t("exchange.choose")}
      </h3>
      <ul className="grid w-full gap-1">
        {tickets.map((ticket) => (
          <li key={ticket.ticket_id}>
            <label className="flex min-h-11 items-center gap-3">
              <input
                type="checkbox"
                className="size-5"
                checked={chosen.includes(ticket.ticket_id)}
                onChange={() => toggle(ticket.ticket_id)}
              />
              <span className="grow">
                {place(ticket.seat)} · {named("ticket", ticket.ticket_type)}
              </span>
              {booking.currency && <span className="tabular-nums">{money(ticket.amount, booking.currency)}</span>}
            </label>
          </li>
        ))}
      </ul>
      {chosen.length > 0 ? (
        <nav className="flex flex-wrap gap-3" aria-label={t("exchange.where")}>
          <ButtonLink to={`/showtimes/${booking.showtime_id}`} onClick={start}>
            {t("exchange.sameShowtime")}
          </ButtonLink>
          {showtime.data && (
            <>
              <ButtonLink look="plain" to={`/movies/${showtime.data.movie_id}`} onClick={start}>
                {t("exchange.sameFilm")}
              </ButtonLink>
              <ButtonLink look="plain" to={`/theaters/${showtime.data.theater_id}`} onClick={start}>
                {t("exchange.otherFilm")}
              </ButtonLink>
            </>
          )}
        </nav>
      ) : (
        <p className="text-quiet">{t("exchange.none")}</p>
      )}
      <Button look="plain" onClick={onClose}>
        {t("cancel.keep")}
      </Button>
    </div>
  );
}

/** What is being exchanged, and the way out. */
export function ExchangeNotice({ exchange, onEnd }: { exchange: Exchanging; onEnd: () => void }) {
  const end = () => {
    endExchange();
    onEnd();
  };
  return (
    <Notice>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <span className="grow">
          {t("exchange.underWay", { seats: names(exchange.tickets.map(({ seat }) => seat)) })}
        </span>
        <ButtonLink look="plain" to={`/bookings/${exchange.bookingId}`} onClick={end}>
          {t("exchange.end")}
        </ButtonLink>
      </div>
    </Notice>
  );
}
