import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type CSSProperties, type FormEvent, useState } from "react";
import { Link, useNavigate } from "react-router";
import { api, type Schemas, unwrap } from "../api/client";
import { isProblem, sentence } from "../api/problem";
import { useSession } from "../api/useSession";
import { policySentence } from "../bookings/policy";
import { bookingQuery } from "../bookings/queries";
import { locale, named, t } from "../i18n";
import { money } from "../lib/format";
import { useCountdown } from "../lib/useCountdown";
import { place } from "../seats/labels";
import type { Hold } from "../seats/layout";
import { forgetHold, storeCodes, storedCodes, storedTickets, storeTickets } from "../seats/memory";
import { holdQuery } from "../seats/queries";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Failure, Notice } from "../ui/Notice";
import { CodeField } from "./CodeField";
import { EmailField } from "./EmailField";
import { Extension } from "./Extension";
import { fitting } from "./fitting";
import { codesOf, folded, refusalOf, withCodes } from "./promotions";
import { Sum } from "./Sum";
import { type Shares, split, storedShares, storeShares } from "./shares";
import { Tenders } from "./Tenders";
import { TimeLeft } from "./TimeLeft";

type Showtime = Schemas["CatalogShowtimeResponse"];
type Quoted = Schemas["BookingQuotedSeat"];

interface OrderFormProps {
  hold: Hold;
  showtime: Showtime;
}

/** Ticket types, contact and terms: the last step before payment. */
export function OrderForm({ hold, showtime }: OrderFormProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [kept, setKept] = useState(() => storedTickets(showtime.id));
  const [codes, setCodes] = useState(() => storedCodes(showtime.id));
  const { hold_id, claim } = hold;
  const [shares, setShares] = useState(() => storedShares(hold_id));
  const bookingKey = bookingQuery(hold_id).queryKey;
  const holdKey = holdQuery(hold_id).queryKey;
  const over = () => {
    forgetHold(showtime.id);
    queries.setQueryData(holdKey, null);
    // Another tab may have placed the order.
    void queries.invalidateQueries({ queryKey: bookingKey });
  };
  const seconds = useCountdown(hold.expires_at, over);
  const chosen = hold.seats.map((seat) => ({ seat_id: seat.seat_id, ticket_type: kept[seat.seat_id] ?? null }));
  const quote = useQuery({
    queryKey: ["mine", "quote", claim, chosen, codes],
    queryFn: () =>
      fitting(chosen, (tickets) =>
        withCodes(codes, (promotion_codes) =>
          unwrap(api.POST("/api/bookings/quote", { body: { claim, tickets, promotion_codes } })),
        ),
      ),
    placeholderData: keepPreviousData,
  });
  const lookAgain = () => {
    void queries.invalidateQueries({ queryKey: bookingKey });
    void queries.invalidateQueries({ queryKey: holdKey });
    void quote.refetch();
  };
  const priced = quote.data?.quote;
  const quoted = priced?.seats ?? [];
  const total = priced?.amount ?? 0;
  const applied = priced ? codesOf(priced) : [];
  const changeCodes = (next: string[]) => {
    const unique = [...new Set(next.map(folded))];
    storeCodes(showtime.id, unique);
    setCodes(unique);
  };

  const { left } = split(total, shares);
  const pay = (next: Shares) => {
    storeShares(hold_id, next);
    setShares(next);
  };

  const order = useMutation({
    mutationFn: (contact: { email: string; name: string | null }) =>
      unwrap(
        api.POST("/api/bookings", {
          body: {
            claim,
            tickets: quoted.map(({ seat, chosen: { ticket_type } }) => ({ seat_id: seat.seat_id, ticket_type })),
            ...contact,
            promotion_codes: applied,
            locale: locale(),
          },
        }),
      ),
    onSuccess: async (ordered) => {
      // A response from before the checkout must not replace this one.
      await queries.cancelQueries({ queryKey: bookingKey });
      queries.setQueryData(bookingKey, ordered);
    },
    onError: (error) => {
      if (isProblem(error, "hold_expired")) over();
      if (isProblem(error, "already_checked_out", "claim_invalid", "tickets_do_not_match")) lookAgain();
      if (isProblem(error, "promotion_refused")) {
        changeCodes(applied.filter((code) => code !== error.document.promotion_code));
        void quote.refetch();
      }
    },
  });
  const release = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/holds/{hold_id}", { params: { path: { hold_id } } })),
    onSuccess: () => {
      forgetHold(showtime.id);
      return navigate(`/showtimes/${showtime.id}`, { replace: true });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    order.mutate({ email: String(given.get("email")), name: String(given.get("name")).trim() || null });
  };
  const change = ({ seat }: Quoted, type: string) => {
    const next = { ...kept, [seat.seat_id]: type };
    storeTickets(showtime.id, next);
    setKept(next);
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      <Extension
        hold={hold}
        seconds={seconds}
        onRenewed={(renewed) => queries.setQueryData(holdKey, renewed)}
        onOver={over}
      />
      {seconds !== null && <TimeLeft seconds={seconds}>{t("checkout.time")}</TimeLeft>}
      <section className="card p-5" aria-labelledby="tickets">
        <h2 id="tickets" className="mb-3 text-lg">
          {t("checkout.tickets")}
        </h2>
        <ul className="divide-y divide-line">
          {quoted.map((each) => (
            <TicketRow
              key={each.seat.seat_id}
              quoted={each}
              currency={showtime.currency}
              onChange={(type) => change(each, type)}
            />
          ))}
        </ul>
        {quote.isPending && (
          <div
            aria-hidden="true"
            className="skeleton h-[calc(var(--seats)*7.4rem+12.3rem)] sm:h-[calc(var(--seats)*4.5rem+11.2rem)]"
            style={{ "--seats": hold.seats.length } as CSSProperties}
          />
        )}
        {quote.isError && <Failure error={quote.error} retry={lookAgain} />}
        {priced && (
          <>
            <CodeField
              codes={applied}
              fault={quote.data?.refusal ? refusalOf(quote.data.refusal, showtime.time_zone) : undefined}
              busy={quote.isFetching}
              onAdd={(code) => changeCodes([...applied, code])}
              onRemove={(code) => changeCodes(applied.filter((each) => each !== code))}
            />
            <Sum {...priced} />
          </>
        )}
      </section>
      {total > 0 && <Tenders price={total} currency={showtime.currency} shares={shares} onChange={pay} />}
      <Contact />
      <section className="card p-5" aria-labelledby="terms">
        <h2 id="terms" className="mb-1 text-lg">
          {t("terms.title")}
        </h2>
        <p className="text-quiet">
          {priced && policySentence(priced.refund_policy, showtime.starts_at, showtime.time_zone, showtime.currency)}{" "}
          {t("terms.text")}
        </p>
      </section>
      {order.isError && <Notice kind="bad">{refusalOf(order.error, showtime.time_zone)}</Notice>}
      {release.isError && <Notice kind="bad">{sentence(release.error)}</Notice>}
      <div className="flex flex-wrap gap-3">
        <Button type="submit" disabled={!priced} busy={order.isPending || quote.isFetching} className="max-sm:w-full">
          {!total
            ? t("checkout.free")
            : left
              ? t("checkout.toPayment", { amount: money(left, showtime.currency) })
              : t("tenders.pay")}
        </Button>
        <Button look="plain" busy={release.isPending} onClick={() => release.mutate()} className="max-sm:w-full">
          {t("checkout.release")}
        </Button>
      </div>
    </form>
  );
}

interface TicketRowProps {
  quoted: Quoted;
  currency: string;
  onChange: (type: string) => void;
}

/** A held seat with its ticket types. */
export function TicketRow({ quoted: { seat, chosen, options }, currency, onChange }: TicketRowProps) {
  return (
    <li className="grid items-center gap-x-4 gap-y-1 py-3 sm:grid-cols-[1fr_1.2fr]">
      <span>
        <b>{place(seat)}</b>
        <span className="block text-sm text-quiet first-letter:uppercase">{named("category", seat.category)}</span>
      </span>
      <select
        className="field"
        aria-label={t("checkout.ticketFor", { seat: place(seat) })}
        value={chosen.ticket_type}
        onChange={(event) => onChange(event.target.value)}
      >
        {options.map(({ ticket_type, amount }) => (
          <option key={ticket_type} value={ticket_type}>
            {named("ticket", ticket_type)} – {money(amount, currency)}
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
      <EmailField key={session.user?.email} defaultValue={session.user?.email} />
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
