import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Schemas, unwrap } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { ExchangeNotice } from "../bookings/Exchange";
import { type Exchanging, endExchange } from "../bookings/exchanging";
import { policySentence } from "../bookings/policy";
import { bookingQuery } from "../bookings/queries";
import { t } from "../i18n";
import { money } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { place } from "../seats/labels";
import type { Hold } from "../seats/layout";
import { forgetHold, storedTickets, storeTickets } from "../seats/memory";
import { holdQuery } from "../seats/queries";
import { Button } from "../ui/Button";
import { Failure, Notice } from "../ui/Notice";
import { fitting } from "./fitting";
import { TicketRow } from "./OrderForm";
import { TimeLeft } from "./TimeLeft";

type Quote = Schemas["BookingExchangeQuoteResponse"];

interface ExchangeFormProps {
  hold: Hold;
  showtime: Schemas["CatalogShowtimeResponse"];
  exchange: Exchanging;
  /** The customer no longer wants to exchange. */
  onEnd: () => void;
}

/** Ticket types of the new seats and the sum step by step: the last step of an exchange before payment. */
export function ExchangeForm({ hold, showtime, exchange, onEnd }: ExchangeFormProps) {
  const queries = useQueryClient();
  const [kept, setKept] = useState(() => storedTickets(showtime.id));
  const { hold_id, claim } = hold;
  const bookingKey = bookingQuery(hold_id).queryKey;
  const over = () => {
    forgetHold(showtime.id);
    queries.setQueryData(holdQuery(hold_id).queryKey, null);
    void queries.invalidateQueries({ queryKey: bookingKey });
  };
  const seconds = useCountdown(hold.expires_at, over);
  const chosen = hold.seats.map((seat) => ({ seat_id: seat.seat_id, ticket_type: kept[seat.seat_id] ?? null }));
  const priced = useQuery({
    queryKey: ["mine", "quote", claim, chosen],
    queryFn: () =>
      fitting(chosen, (tickets) =>
        unwrap(api.POST("/api/bookings/quote", { body: { claim, tickets, promotion_codes: [] } })),
      ),
    placeholderData: keepPreviousData,
  });
  const tickets = priced.data?.seats.map(({ seat, chosen: { ticket_type } }) => ({
    seat_id: seat.seat_id,
    ticket_type,
  }));
  const quote = useQuery({
    queryKey: ["mine", "exchange", exchange.bookingId, claim, tickets],
    queryFn: () =>
      unwrap(
        api.POST("/api/bookings/{booking_id}/exchange-quote", {
          params: { path: { booking_id: exchange.bookingId } },
          body: { claim, tickets: tickets ?? [], ticket_ids: exchange.tickets.map(({ ticket_id }) => ticket_id) },
        }),
      ),
    enabled: Boolean(tickets),
    staleTime: 0,
    placeholderData: keepPreviousData,
  });
  const commit = useMutation({
    mutationFn: (quote_id: string) =>
      unwrap(
        api.POST("/api/bookings", {
          body: {
            claim,
            tickets: tickets ?? [],
            replaces: { booking_id: exchange.bookingId, quote_id },
            promotion_codes: [],
            locale: "en", // the earlier booking's language is used
          },
        }),
      ),
    onSuccess: async (ordered) => {
      endExchange();
      await queries.cancelQueries({ queryKey: bookingKey });
      queries.setQueryData(bookingKey, ordered);
    },
    onError: (error) => {
      if (isProblem(error, "hold_expired")) over();
      if (isProblem(error, "quote_changed")) void quote.refetch();
    },
  });
  const failure = priced.error ?? quote.error;
  const quoteId = quote.data?.quote_id;
  return (
    <div className="grid gap-5">
      <ExchangeNotice exchange={exchange} onEnd={onEnd} />
      {seconds !== null && <TimeLeft seconds={seconds}>{t("checkout.time")}</TimeLeft>}
      <section className="card p-5" aria-labelledby="tickets">
        <h2 id="tickets" className="mb-3 text-lg">
          {t("exchange.newTickets")}
        </h2>
        <ul className="divide-y divide-line">
          {priced.data?.seats.map((each) => (
            <TicketRow
              key={each.seat.seat_id}
              quoted={each}
              currency={showtime.currency}
              onChange={(type) => {
                const next = { ...kept, [each.seat.seat_id]: type };
                storeTickets(showtime.id, next);
                setKept(next);
              }}
            />
          ))}
        </ul>
        {failure !== null && (
          <Failure error={failure} retry={() => void Promise.all([priced.refetch(), quote.refetch()])} />
        )}
        {quote.data && <Sum quote={quote.data} />}
      </section>
      {quote.data && !quoteId && <Reasons quote={quote.data} />}
      {quote.data?.refund_policy && (
        <p className="text-sm text-quiet">
          {policySentence(quote.data.refund_policy, showtime.starts_at, showtime.time_zone, showtime.currency)}{" "}
          {quote.data.max_refund_percent < 100 && t("exchange.atMost", { percent: quote.data.max_refund_percent })}{" "}
          {t("terms.text")}
        </p>
      )}
      {commit.isError && <Notice kind="bad">{sentence(commit.error)}</Notice>}
      <div>
        <Button
          className="max-sm:w-full"
          disabled={!quoteId}
          busy={commit.isPending || priced.isFetching || quote.isFetching}
          onClick={() => quoteId && commit.mutate(quoteId)}
        >
          {label(quote.data)}
        </Button>
      </div>
    </div>
  );
}

function label(quote: Quote | undefined): string {
  if (!quote || quote.amount_due === 0) return t("exchange.confirm");
  const amount = money(Math.abs(quote.amount_due), quote.currency);
  return t(quote.amount_due > 0 ? "exchange.toPayment" : "exchange.confirmBack", { amount });
}

function Sum({ quote: { price, value, fee, waived, amount_due, currency } }: { quote: Quote }) {
  const rows: [string, number][] = [
    [t("exchange.price"), price],
    [t("exchange.value"), -value],
  ];
  if (fee) rows.push([t("exchange.fee"), fee]);
  if (waived) rows.push([t("exchange.waived"), -waived]);
  return (
    <dl className="mt-3 grid gap-1 border-t border-line pt-3">
      {rows.map(([name, amount]) => (
        <div key={name} className="flex items-baseline justify-between gap-4">
          <dt>{name}</dt>
          <dd className="tabular-nums">{money(amount, currency)}</dd>
        </div>
      ))}
      <div className="flex items-baseline justify-between gap-4 border-t border-line pt-2">
        <dt>
          <b>{t(amount_due < 0 ? "exchange.back" : "exchange.due")}</b>
        </dt>
        <dd className="text-2xl font-bold tabular-nums">{money(Math.abs(amount_due), currency)}</dd>
      </div>
    </dl>
  );
}

/** Why the tickets cannot be exchanged. */
function Reasons({ quote }: { quote: Quote }) {
  return (
    <Notice kind="warn">
      <ul>
        {quote.tickets.map(
          ({ ticket_id, seat, reason }) =>
            reason && (
              <li key={ticket_id}>
                <b>{place(seat)}</b>: {t(`exchange.reason.${reason}`)}
              </li>
            ),
        )}
      </ul>
    </Notice>
  );
}
