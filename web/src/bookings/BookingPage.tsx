import { useMutation, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useLocation, useParams } from "react-router";
import { api, unwrap } from "../api/client";
import { sentence } from "../api/problem";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { clock, fullDate, longDay, money } from "../lib/format";
import { useOnline } from "../lib/useOnline";
import { announce } from "../ui/announce";
import { Button, ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { Address } from "./Address";
import { Cancellation, Refunds } from "./Cancellation";
import { Documents } from "./Documents";
import { forget, keep, useKeptTickets } from "./device";
import { Exchange } from "./Exchange";
import { Missing } from "./Missing";
import { type Booking, MOVING, useBooking, wereSeatsReleased } from "./queries";
import { Transfers } from "./Transfers";
import { useLinkKey } from "./useLinkKey";

const Tickets = lazy(() => import("./Tickets"));
const LONG_MS = 20_000;

/** A booking, perhaps opened by a mailed link. */
export default function BookingPage() {
  const { bookingId = "" } = useParams();
  return useLinkKey(bookingId) && <Shown bookingId={bookingId} />;
}

/** Shows the booking's progress, its tickets or its end. */
function Shown({ bookingId }: { bookingId: string }) {
  const { state: visit } = useLocation();
  const booking = useBooking(bookingId);
  usePageTitle(booking.data?.reference ? t("booking.title", { reference: booking.data.reference }) : t("booking.one"));
  const { user } = useSession();
  const kept = useKeptTickets(user?.user_id).find((each) => each.booking.id === bookingId);
  const isOnline = useOnline();
  useEffect(() => {
    if (booking.data) keep(booking.data, user?.user_id ?? null);
  }, [booking.data, user]);
  if (kept && !booking.data && (booking.isError || booking.isSuccess || !isOnline)) {
    return (
      <div className="page max-w-4xl py-6 sm:py-10">
        <Head booking={kept.booking} isKept />
        <Body booking={kept.booking} savedAt={kept.savedAt} />
      </div>
    );
  }
  if (booking.isPending) {
    return (
      <div className="page max-w-4xl py-6 sm:py-10">
        <div aria-hidden="true" className="skeleton h-dvh" />
      </div>
    );
  }
  if (!booking.data) return <Missing error={booking.error} retry={() => void booking.refetch()} />;
  // Stripe has the money, but the webhook has not arrived yet. Nobody should pay twice meanwhile.
  const isPaid = booking.data.state === "awaiting_payment" && Boolean(visit?.isPaid);
  const data: Booking = isPaid ? { ...booking.data, state: "confirming" } : booking.data;
  return (
    <div className="page max-w-4xl py-6 sm:py-10">
      <Part>
        <Head booking={data} />
      </Part>
      <Part>
        <Body booking={data} />
      </Part>
    </div>
  );
}

/** `savedAt`: set for the copy that is kept on this device. */
function Body({ booking, savedAt }: { booking: Booking; savedAt?: string }) {
  if (booking.state === "confirmed") {
    return (
      <Suspense fallback={<div aria-hidden="true" className="skeleton h-dvh" />}>
        {savedAt && (
          <div className="no-print mb-6">
            <Notice kind="warn">
              <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
                <span className="grow">{t("kept.text", { time: fullDate(savedAt) })}</span>
                <Button look="plain" onClick={() => forget(booking.id)}>
                  {t("kept.erase")}
                </Button>
              </div>
            </Notice>
          </div>
        )}
        {!savedAt && booking.choice && (
          <div className="no-print mb-6">
            <Notice kind="warn">
              <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
                <span className="grow">{t("choice.notice")}</span>
                <ButtonLink look="plain" to={`/bookings/${booking.id}/choice`}>
                  {t("choice.open")}
                </ButtonLink>
              </div>
            </Notice>
          </div>
        )}
        {!savedAt && <Refunds booking={booking} />}
        <Tickets booking={booking} isKept={savedAt !== undefined} />
        {!savedAt && <Exchange booking={booking} />}
        {!savedAt && <Transfers booking={booking} />}
        {!savedAt && <Cancellation booking={booking} />}
      </Suspense>
    );
  }
  if (MOVING.includes(booking.state)) {
    // As high as the tickets that will stand here, so that nothing moves.
    return (
      <div className="min-h-dvh">
        <Moving booking={booking} />
        <Refunds booking={booking} />
      </div>
    );
  }
  if (booking.state === "awaiting_payment") return <Unpaid booking={booking} />;
  return <Ended booking={booking} />;
}

const TITLES = {
  awaiting_payment: "booking.unpaid",
  closing: "booking.closing",
  confirming: "booking.confirming",
  exchanging: "booking.confirming",
  confirmed: "booking.confirmed",
  refunding: "booking.refunding",
  refunded: "booking.refunded",
  expired: "booking.expired",
  cancelled: "booking.cancelled",
  exchanged: "booking.exchanged",
} as const;

function Head({ booking, isKept = false }: { booking: Booking; isKept?: boolean }) {
  const { screening, reference, amount, currency, state } = booking;
  const before = useRef(state);
  const title = t(wereSeatsReleased(booking) ? "booking.seatsReleased" : (TITLES[state] ?? "booking.one"));
  useEffect(() => {
    if (before.current !== state) announce(title);
    before.current = state;
  }, [state, title]);
  return (
    <div className="mb-6">
      <h1>{title}</h1>
      {screening && (
        <p className="mt-2 text-lg">
          <b>
            <bdi>{screening.movie_title}</bdi>
          </b>
          <span className="block">
            {longDay(screening.starts_at, screening.time_zone)}, {clock(screening.starts_at, screening.time_zone)}
          </span>
          <span className="block text-base text-quiet">
            <bdi>{screening.theater_name}</bdi>, <bdi>{screening.auditorium_name}</bdi>
          </span>
        </p>
      )}
      {reference && (
        <p className="mt-2">
          {t("pay.booking")} <b className="font-mono tracking-wider">{reference}</b>
          {amount !== null && currency && <> · {money(amount, currency)}</>}
          {!!booking.tax && currency && <> ({t("checkout.tax", { amount: money(booking.tax, currency) })})</>}
        </p>
      )}
      {!isKept && booking.email && (state === "confirmed" || (booking.failed_mail && state === "refunding")) && (
        <div className="mt-4">
          <Address booking={booking} />
        </div>
      )}
    </div>
  );
}

const REFUNDING = { seats_lost: "booking.seatsLostText", exchange_refused: "exchange.refused" } as const;

/** A booking that is being processed. The page updates when it changes. */
function Moving({ booking }: { booking: Booking }) {
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  const texts = {
    closing: "booking.closingText",
    refunding: REFUNDING[booking.ending as keyof typeof REFUNDING] ?? "booking.refundingText",
    confirming: "booking.confirmingText",
    exchanging: "booking.confirmingText",
  } as const;
  return (
    <div className="card grid gap-3 p-6" role="status">
      <p className="flex items-center gap-3">
        <span className="spinner text-accent-ink" aria-hidden="true" />
        {t(wereSeatsReleased(booking) ? "booking.seatsReleasedText" : texts[booking.state as keyof typeof texts])}
      </p>
      {isLong && <p className="text-quiet">{t("booking.long", { email: booking.email ?? "" })}</p>}
    </div>
  );
}

function Unpaid({ booking }: { booking: Booking }) {
  const queries = useQueryClient();
  const cancel = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/bookings/{booking_id}/cancel", { params: { path: { booking_id: booking.id } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["mine"] }),
  });
  return (
    <div className="grid justify-items-start gap-4">
      <p>{t("booking.unpaidText")}</p>
      {cancel.isError && <Notice kind="bad">{sentence(cancel.error)}</Notice>}
      <div className="flex flex-wrap gap-3">
        {booking.order && <ButtonLink to={`/checkout/${booking.id}`}>{t("booking.goOn")}</ButtonLink>}
        <Button look="plain" busy={cancel.isPending} onClick={() => cancel.mutate()}>
          {t("booking.cancel")}
        </Button>
      </div>
    </div>
  );
}

const ENDED = {
  refunded: "booking.refundedText",
  expired: "expired.noMoney",
  cancelled: "booking.cancelledText",
  exchanged: "booking.exchangedText",
} as const;

function Ended({ booking }: { booking: Booking }) {
  const { refunded_amount, currency } = booking;
  return (
    <div className="grid justify-items-start gap-4">
      {wereSeatsReleased(booking) && <p>{t("booking.seatsReleasedText")}</p>}
      <p>{t(ENDED[booking.state as keyof typeof ENDED])}</p>
      {refunded_amount > 0 && currency && <p>{t("booking.back", { amount: money(refunded_amount, currency) })}</p>}
      {booking.documents.length > 0 && <Documents booking={booking} />}
      <div className="flex flex-wrap gap-3">
        {booking.exchanges
          .filter(({ replaces }) => replaces === booking.id)
          .map(({ replaced_by }) => (
            <ButtonLink key={replaced_by} to={`/bookings/${replaced_by}`}>
              {t("exchange.newBooking")}
            </ButtonLink>
          ))}
        <ButtonLink look={booking.state === "exchanged" ? "plain" : "main"} to={`/showtimes/${booking.showtime_id}`}>
          {t("booking.seatsAgain")}
        </ButtonLink>
        <ButtonLink look="plain" to="/">
          {t("nav.films")}
        </ButtonLink>
      </div>
    </div>
  );
}
