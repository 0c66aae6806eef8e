import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, type Schemas, unwrap } from "../api/client";
import { isProblem, Problem, sentence } from "../api/problem";
import { named, t } from "../i18n";
import { fullDate, money } from "../lib/format";
import { names, place } from "../seats/labels";
import { announce } from "../ui/announce";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { policySentence } from "./policy";
import { type Booking, bookingQuery } from "./queries";

type Quote = Schemas["BookingCancellationQuoteResponse"];

/** What cancelling returns, and the way to do it: choose tickets, check the quote, confirm. */
export function Cancellation({ booking }: { booking: Booking }) {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && !isOpen) opener.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  const { refund_policy, screening, currency } = booking;
  if (!refund_policy || !screening || !currency || Date.parse(screening.starts_at) < Date.now()) return null;
  return (
    <section className="no-print card mt-6 grid justify-items-start gap-3 p-5" aria-labelledby="cancelling">
      <h2 id="cancelling" className="text-lg">
        {t("cancel.title")}
      </h2>
      <p className="text-quiet">{policySentence(refund_policy, screening.starts_at, screening.time_zone, currency)}</p>
      {isOpen ? (
        <Form booking={booking} onClose={() => setOpen(false)} />
      ) : (
        <Button ref={opener} look="plain" onClick={() => setOpen(true)}>
          {t("cancel.open")}
        </Button>
      )}
    </section>
  );
}

function Form({ booking, onClose }: { booking: Booking; onClose: () => void }) {
  const queries = useQueryClient();
  const { queryKey } = bookingQuery(booking.id);
  const tickets = booking.tickets.filter(({ status }) => status === "valid");
  const [chosen, setChosen] = useState(() => (tickets.length === 1 ? tickets.map((each) => each.ticket_id) : []));
  const [quote, setQuote] = useState<Quote | null>(null);
  const [isChanged, setChanged] = useState(false);
  const [refundTo, setRefundTo] = useState<"card" | "credit">("card");
  const path = { params: { path: { booking_id: booking.id } } };
  const ask = useMutation({
    mutationFn: () =>
      unwrap(
        api.POST("/api/bookings/{booking_id}/cancellation-quote", {
          ...path,
          body: { ticket_ids: chosen, refund_to: refundTo },
        }),
      ),
    onSuccess: setQuote,
  });
  const commit = useMutation({
    mutationFn: (quote_id: string) =>
      unwrap(api.POST("/api/bookings/{booking_id}/cancel", { ...path, body: { quote_id } })),
    onSuccess: async (cancelled) => {
      await queries.cancelQueries({ queryKey });
      queries.setQueryData(queryKey, cancelled);
      announce(t("cancel.done"));
      onClose();
    },
    onError: (error) => {
      const fresh = isProblem(error, "quote_changed") && error instanceof Problem ? error.document.quote : null;
      if (!fresh) return;
      setChanged(true);
      setQuote(fresh as Quote);
    },
  });
  const bonus = booking.refund_policy?.credit_bonus_percent ?? 0;
  const first = useRef<HTMLHeadingElement>(null);
  useEffect(() => first.current?.focus(), []);
  const toggle = (id: string) =>
    setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  if (quote) {
    return (
      <Offer
        quote={quote}
        hasMore={quote.tickets.some(({ ticket_id }) => !chosen.includes(ticket_id))}
        isChanged={isChanged}
        error={isChanged && isProblem(commit.error, "quote_changed") ? null : commit.error}
        isBusy={commit.isPending}
        onConfirm={(id) => {
          setChanged(false);
          commit.mutate(id);
        }}
        onBack={() => {
          commit.reset();
          setChanged(false);
          setQuote(null);
        }}
      />
    );
  }
  return (
    <div className="grid w-full justify-items-start gap-3">
      <h3 ref={first} tabIndex={-1}>
        {t("cancel.choose")}
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
      {booking.tenders.some(({ kind }) => kind === "card") && (
        <fieldset className="grid gap-1">
          <legend className="mb-1 font-semibold">{t("cancel.where")}</legend>
          {(["card", "credit"] as const).map((each) => (
            <label key={each} className="flex min-h-11 items-center gap-3">
              <input
                type="radio"
                name="refund-to"
                className="size-5"
                checked={refundTo === each}
                onChange={() => setRefundTo(each)}
              />
              <span>
                {t(`cancel.where.${each}`)}
                {each === "credit" && bonus > 0 && ` ${t("cancel.where.bonus", { percent: bonus })}`}
              </span>
            </label>
          ))}
        </fieldset>
      )}
      {ask.isError && <Notice kind="bad">{sentence(ask.error)}</Notice>}
      <div className="flex flex-wrap gap-3">
        <Button disabled={!chosen.length} busy={ask.isPending} onClick={() => ask.mutate()}>
          {t("cancel.quote")}
        </Button>
        <Button look="plain" onClick={onClose}>
          {t("cancel.keep")}
        </Button>
      </div>
    </div>
  );
}

interface OfferProps {
  quote: Quote;
  /** Whether tickets are cancelled that the customer did not choose. */
  hasMore: boolean;
  isChanged: boolean;
  error: unknown;
  isBusy: boolean;
  onConfirm: (quoteId: string) => void;
  onBack: () => void;
}

function Offer({ quote, hasMore, isChanged, error, isBusy, onConfirm, onBack }: OfferProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const { quote_id, currency, total, destinations } = quote;
  const to = (destination: Quote["destinations"][number]) =>
    t(destination.bonus ? "cancel.to.bonus" : `cancel.to.${destination.to}`, {
      amount: money(destination.amount + destination.bonus, currency),
      bonus: money(destination.bonus, currency),
    });
  return (
    <div className="grid w-full justify-items-start gap-3">
      <h3 ref={heading} tabIndex={-1}>
        {t("cancel.check")}
      </h3>
      {isChanged && <Notice kind="warn">{t("cancel.changed")}</Notice>}
      {hasMore && <Notice kind="info">{t("cancel.together")}</Notice>}
      <ul className="grid w-full divide-y divide-line">
        {quote.tickets.map((ticket) => (
          <li key={ticket.ticket_id} className="flex flex-wrap items-baseline justify-between gap-x-4 py-2">
            <span>
              {place(ticket.seat)}
              <span className="block text-sm text-quiet">
                {ticket.reason
                  ? t(`cancel.reason.${ticket.reason}`)
                  : ticket.fee
                    ? t("cancel.paidFee", { paid: money(ticket.paid, currency), fee: money(ticket.fee, currency) })
                    : t("cancel.paid", { paid: money(ticket.paid, currency) })}
              </span>
            </span>
            {!ticket.reason && <span className="tabular-nums">{money(ticket.refund, currency)}</span>}
          </li>
        ))}
      </ul>
      {quote_id && (
        <p>
          <b>{t("cancel.total", { amount: money(total, currency) })}</b>
          {destinations.length ? (
            destinations.map((each) => (
              <span key={`${each.to} ${each.amount}`} className="block text-quiet">
                {to(each)}
              </span>
            ))
          ) : (
            <span className="block text-quiet">{t("cancel.noMoney")}</span>
          )}
        </p>
      )}
      {error !== null && <Notice kind="bad">{sentence(error)}</Notice>}
      <div className="flex flex-wrap gap-3">
        {quote_id && (
          <Button look="danger" busy={isBusy} onClick={() => onConfirm(quote_id)}>
            {t("cancel.confirm")}
          </Button>
        )}
        <Button look="plain" onClick={onBack}>
          {t("cancel.back")}
        </Button>
      </div>
    </div>
  );
}

/** The progress of a booking's refunds. */
export function Refunds({ booking }: { booking: Booking }) {
  const { currency, refunds, lines } = booking;
  const shown = refunds.filter(({ amount, repeated_as }) => amount > 0 && !repeated_as);
  if (!shown.length || !currency) return null;
  return (
    <section className="no-print my-6 grid gap-2" aria-labelledby="refunds">
      <h2 id="refunds" className="text-lg">
        {t("refunds.title")}
      </h2>
      <ul className="grid gap-2" role="status">
        {shown.map((refund) => {
          const seats = lines.filter(({ seat }) => refund.seats.includes(seat.seat_id)).map(({ seat }) => seat);
          return (
            <li key={refund.refund_id}>
              <Notice kind={refund.state === "failed" ? "warn" : refund.state === "accepted" ? "good" : "info"}>
                {seats.length > 0 && <b className="block">{names(seats)}</b>}
                {t(`refunds.${refund.state}`, {
                  amount: money(refund.amount, currency),
                  time: fullDate(refund.settled_at ?? refund.at),
                })}
              </Notice>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
