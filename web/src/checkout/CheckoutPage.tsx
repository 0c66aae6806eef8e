import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link, Navigate, useParams } from "react-router";
import type { Schemas } from "../api/client";
import { Problem } from "../api/problem";
import { exchanging } from "../bookings/exchanging";
import { useBooking, wereSeatsReleased } from "../bookings/queries";
import { showtimeQuery } from "../films/queries";
import { t, tn } from "../i18n";
import { useLanguage } from "../i18n/useLanguage";
import { clock, longDay } from "../lib/format";
import { type Named, names } from "../seats/labels";
import { forgetHold, storedSeats, storeHold, storeSeats } from "../seats/memory";
import { holdQuery } from "../seats/queries";
import { ButtonLink } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Failure, Notice } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { Again } from "./Again";
import { ExchangeForm } from "./ExchangeForm";
import { OrderForm } from "./OrderForm";
import { Payment } from "./Payment";

/** The checkout of a hold: ticket types and contact, then payment. After a reload it continues at the same step. */
export default function CheckoutPage() {
  const { holdId = "" } = useParams();
  useLanguage();
  const [dropped, setDropped] = useState<Named[]>([]);
  const [exchange, setExchange] = useState(exchanging);
  const booking = useBooking(holdId);
  const hold = useQuery(holdQuery(holdId));
  usePageTitle(t("checkout.title"));
  const [ordered, held] = [booking.data, hold.data];
  const order = ordered?.state === "awaiting_payment" ? ordered.order : null;
  const isOver = Boolean(ordered && !order);
  const showtimeId = ordered?.showtime_id ?? held?.showtime_id;
  useEffect(() => {
    if (!showtimeId) return;
    if (isOver) forgetHold(showtimeId);
    else storeHold(showtimeId, holdId);
  }, [showtimeId, holdId, isOver]);
  useEffect(() => {
    if (!held) return;
    const kept = held.seats.map((seat) => seat.seat_id);
    // Another tab or device changed the hold.
    const gone = storedSeats(holdId)?.seats.filter((seat) => !kept.includes(seat.seat_id)) ?? [];
    if (gone.length) setDropped(gone);
    storeSeats(held);
  }, [held, holdId]);

  if (booking.isPending || hold.isPending) {
    return (
      <div className="page max-w-4xl py-4 sm:py-6">
        <div aria-hidden="true" className="skeleton h-dvh" />
      </div>
    );
  }
  const retry = () => void Promise.all([booking.refetch(), hold.refetch()]);
  if (ordered === undefined) return <Missing error={booking.error} retry={retry} />;
  if (ordered?.state === "expired" && !wereSeatsReleased(ordered)) {
    return <Again showtimeId={ordered.showtime_id} seats={ordered.seats} />;
  }
  if (isOver) return <Navigate replace to={`/bookings/${holdId}`} />;
  if (ordered && order) {
    return (
      <Step key="pay" title={t("pay.title")} showtimeId={ordered.showtime_id}>
        {() => <Payment booking={ordered} order={order} />}
      </Step>
    );
  }
  if (held) {
    return (
      <Step key="order" title={t(exchange ? "exchange.check" : "checkout.title")} showtimeId={held.showtime_id} isFirst>
        {(showtime) => (
          <>
            {dropped.length > 0 && (
              <div role="status" className="mb-5">
                <Notice kind="warn">{tn("checkout.dropped", dropped.length, { seats: names(dropped) })}</Notice>
              </div>
            )}
            {exchange ? (
              <ExchangeForm hold={held} showtime={showtime} exchange={exchange} onEnd={() => setExchange(null)} />
            ) : (
              <OrderForm hold={held} showtime={showtime} />
            )}
          </>
        )}
      </Step>
    );
  }
  const before = held === null && storedSeats(holdId);
  return before ? <Again {...before} /> : <Missing error={hold.error} retry={retry} />;
}

interface StepProps {
  title: string;
  showtimeId: string;
  /** Whether the seats can still be changed. */
  isFirst?: boolean;
  children: (showtime: Schemas["CatalogShowtimeResponse"]) => ReactNode;
}

/** A checkout step. It scrolls to its title and focuses it, also for screen readers. */
function Step({ title, showtimeId, isFirst = false, children }: StepProps) {
  const showtime = useQuery(showtimeQuery(showtimeId));
  return (
    <div className="page max-w-4xl py-4 sm:py-6">
      {showtime.isError ? (
        <Failure error={showtime.error} retry={() => void showtime.refetch()} />
      ) : showtime.isPending ? (
        <div aria-hidden="true" className="skeleton h-dvh" />
      ) : (
        <>
          {isFirst && (
            <Link
              to={`/showtimes/${showtimeId}`}
              className="inline-flex min-h-11 items-center gap-1 text-sm text-quiet hover:text-ink"
            >
              <Icon name="back" className="size-4" />
              {t("checkout.back")}
            </Link>
          )}
          <Title>{title}</Title>
          <Part>
            <Screening showtime={showtime.data} />
          </Part>
          {children(showtime.data)}
        </>
      )}
    </div>
  );
}

/** A heading that takes the focus when it appears. */
function Title({ children }: { children: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <h1 ref={heading} tabIndex={-1} className="text-2xl sm:text-3xl">
      {children}
    </h1>
  );
}

function Screening({ showtime }: { showtime: Schemas["CatalogShowtimeResponse"] }) {
  const { movie_title, starts_at, time_zone, theater_name, auditorium_name } = showtime;
  return (
    <p className="mt-1 mb-5 text-quiet">
      <b className="text-ink">
        <bdi>{movie_title}</bdi>
      </b>
      , {longDay(starts_at, time_zone)}, {clock(starts_at, time_zone)} · <bdi>{theater_name}</bdi>,{" "}
      <bdi>{auditorium_name}</bdi>
    </p>
  );
}

/** `error` is null if there is no hold or booking that this visitor may see. */
function Missing({ error, retry }: { error: unknown; retry: () => void }) {
  const isGone = error === null || (error instanceof Problem && error.status === 401);
  return (
    <div className="page grid justify-items-start gap-4 py-8">
      <h1>{t(isGone ? "checkout.gone" : "checkout.title")}</h1>
      {isGone ? (
        <>
          <p className="text-quiet">{t("checkout.goneText")}</p>
          <div className="flex flex-wrap gap-3">
            <ButtonLink to="/">{t("nav.films")}</ButtonLink>
            <ButtonLink look="plain" to={`/sign-in?next=${encodeURIComponent(location.pathname)}`}>
              {t("nav.signIn")}
            </ButtonLink>
          </div>
        </>
      ) : (
        <Failure error={error} retry={retry} />
      )}
    </div>
  );
}
