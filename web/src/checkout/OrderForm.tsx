import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, type Schemas, told } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { useSession } from "../api/useSession";
import { type Booking, bookingQuery } from "../bookings/queries";
import { currentLanguage, named, t } from "../i18n";
import { money } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { place } from "../seats/labels";
import type { Hold } from "../seats/layout";
import { dropHold, keepTickets, keptTickets } from "../seats/memory";
import { Button } from "../ui/Button";
import { Countdown } from "../ui/Countdown";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { Extension } from "./Extension";

type Showtime = Schemas["CatalogShowtimeDetail"];
type HeldSeat = Booking["seats"][number];

interface OrderFormProps {
  booking: Booking;
  showtime: Showtime;
  hold: Hold | null;
}

/** Ticket types, contact, terms; the last step before the card. */
export function OrderForm({ booking, showtime, hold }: OrderFormProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [kept, setKept] = useState(() => keptTickets(showtime.id));
  const [expiresAt, setExpiresAt] = useState(hold?.expires_at ?? booking.expires_at);
  const ask = () => queries.invalidateQueries({ queryKey: ["mine", "booking", booking.id] });
  const over = () => {
    dropHold(showtime.id);
    queries.setQueryData(bookingQuery(booking.id).queryKey, { ...booking, state: "expired" });
  };
  const seconds = useCountdown(expiresAt, over);
  const typeOf = (seat: HeldSeat) => chosenType(showtime, seat, kept[seat.seat_id]);
  const total = booking.seats.reduce((sum, seat) => sum + (priceOf(showtime, seat, typeOf(seat)) ?? 0), 0);

  const order = useMutation({
    mutationFn: (contact: { email: string; name: string | null }) =>
      told(
        api.POST("/api/bookings", {
          body: {
            hold_id: booking.id,
            tickets: booking.seats.map((seat) => ({ seat_id: seat.seat_id, ticket_type: typeOf(seat) })),
            ...contact,
            locale: currentLanguage(),
          },
        }),
      ),
    onSuccess: (ordered) => queries.setQueryData(bookingQuery(booking.id).queryKey, ordered),
    onError: (error) => {
      if (isProblem(error, "hold_expired")) over();
      if (isProblem(error, "already_checked_out", "tickets_do_not_match")) void ask();
    },
  });
  const release = useMutation({
    mutationFn: () => told(api.DELETE("/api/holds/{hold_id}", { params: { path: { hold_id: booking.id } } })),
    onSuccess: () => {
      dropHold(showtime.id);
      return navigate(`/showtimes/${showtime.id}`, { replace: true });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    order.mutate({ email: String(given.get("email")), name: String(given.get("name")).trim() || null });
  };
  const change = (seat: HeldSeat, type: string) => {
    const next = { ...kept, [seat.seat_id]: type };
    keepTickets(showtime.id, next);
    setKept(next);
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      <Extension hold={hold} seconds={seconds} onExtended={setExpiresAt} onOver={over} />
      <section className="card p-5" aria-labelledby="tickets">
        <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
          <h2 id="tickets" className="text-lg">
            {t("checkout.tickets")}
          </h2>
          {seconds !== null && <Countdown seconds={seconds} />}
        </div>
        <ul className="divide-y divide-line">
          {booking.seats.map((seat) => (
            <TicketRow
              key={seat.seat_id}
              seat={seat}
              showtime={showtime}
              type={typeOf(seat)}
              onChange={(type) => change(seat, type)}
            />
          ))}
        </ul>
        <p className="mt-3 flex items-baseline justify-between border-t border-line pt-3">
          <span>
            <b>{t("checkout.total")}</b> <span className="text-sm text-quiet">{t("checkout.allIn")}</span>
          </span>
          <b className="text-2xl tabular-nums">{money(total, showtime.currency)}</b>
        </p>
      </section>
      <Contact />
      <section className="card p-5" aria-labelledby="terms">
        <h2 id="terms" className="mb-1 text-lg">
          {t("terms.title")}
        </h2>
        <p className="text-quiet">{t("terms.text")}</p>
      </section>
      {order.isError && <Notice kind="bad">{sentence(order.error)}</Notice>}
      {release.isError && <Notice kind="bad">{sentence(release.error)}</Notice>}
      <div className="flex flex-wrap gap-3">
        <Button type="submit" busy={order.isPending} className="max-sm:w-full">
          {total ? t("checkout.toPayment", { amount: money(total, showtime.currency) }) : t("checkout.free")}
        </Button>
        <Button look="plain" busy={release.isPending} onClick={() => release.mutate()} className="max-sm:w-full">
          {t("checkout.release")}
        </Button>
      </div>
    </form>
  );
}

const priceOf = (showtime: Showtime, seat: HeldSeat, type: string) =>
  showtime.prices.find((price) => price.category === seat.category && price.ticket_type === type)?.amount;

/** The type that was chosen for the seat, if it is sold for it; else the usual one. */
function chosenType(showtime: Showtime, seat: HeldSeat, kept: string | undefined): string {
  const sold = showtime.prices.filter((price) => price.category === seat.category).map((price) => price.ticket_type);
  if (kept && sold.includes(kept)) return kept;
  if (seat.category === "companion" && sold.includes("companion")) return "companion";
  return sold.includes("adult") ? "adult" : (sold[0] ?? "adult");
}

interface TicketRowProps {
  seat: HeldSeat;
  showtime: Showtime;
  type: string;
  onChange: (type: string) => void;
}

function TicketRow({ seat, showtime, type, onChange }: TicketRowProps) {
  const prices = showtime.prices.filter((price) => price.category === seat.category);
  return (
    <li className="grid items-center gap-x-4 gap-y-1 py-3 sm:grid-cols-[1fr_1.2fr]">
      <span>
        <b>{place(seat)}</b>
        <span className="block text-sm text-quiet first-letter:uppercase">{named("category", seat.category)}</span>
      </span>
      <select
        className="field"
        aria-label={t("checkout.ticketFor", { seat: place(seat) })}
        value={type}
        onChange={(event) => onChange(event.target.value)}
      >
        {prices.map((price) => (
          <option key={price.ticket_type} value={price.ticket_type}>
            {named("ticket", price.ticket_type)} – {money(price.amount, showtime.currency)}
          </option>
        ))}
      </select>
    </li>
  );
}

function Contact() {
  const session = useSession();
  return (
    <section className="card grid gap-4 p-5" aria-labelledby="contact">
      <div>
        <h2 id="contact" className="text-lg">
          {t("checkout.contact")}
        </h2>
        {session.state === "guest" && (
          <p className="text-sm text-quiet">
            {t("checkout.guest")}{" "}
            <Link to={`/sign-in?next=${encodeURIComponent(location.pathname)}`} className="link">
              {t("nav.signIn")}
            </Link>
          </p>
        )}
      </div>
      <Field
        key={session.user?.email}
        label={t("field.email")}
        hint={t("checkout.emailHint")}
        name="email"
        type="email"
        autoComplete="email"
        required
        maxLength={254}
        defaultValue={session.user?.email}
      />
      <Field
        key={`${session.user?.email} name`}
        label={t("field.nameOptional")}
        name="name"
        autoComplete="name"
        maxLength={100}
        defaultValue={session.user?.name}
      />
    </section>
  );
}
