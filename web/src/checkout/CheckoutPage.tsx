import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Link, Navigate, useParams } from "react-router";
import { api, told } from "../api/client";
import { Problem } from "../api/problem";
import { type Booking, useBooking } from "../bookings/queries";
import { showtimeQuery } from "../films/queries";
import { t } from "../i18n";
import { setServerTime } from "../lib/clock";
import { clock, longDay } from "../lib/format";
import { dropHold, keepHold } from "../seats/memory";
import { ButtonLink } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Failure } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { Again } from "./Again";
import { OrderForm } from "./OrderForm";
import { Payment } from "./Payment";

/** From a hold to the money: ticket types and contact, then the card. A reload goes on where it was. */
export default function CheckoutPage() {
  const { holdId = "" } = useParams();
  const booking = useBooking(holdId);
  usePageTitle(t("checkout.title"));
  const { data } = booking;
  const isOver = data && !["held", "awaiting_payment"].includes(data.state);
  useEffect(() => {
    if (!data) return;
    if (isOver) dropHold(data.showtime_id);
    else keepHold(data.showtime_id, data.id);
  }, [data, isOver]);

  if (data?.state === "expired" || booking.error instanceof Problem) {
    return data ? <Again booking={data} /> : <Missing error={booking.error} retry={() => void booking.refetch()} />;
  }
  if (booking.isError) return <Missing error={booking.error} retry={() => void booking.refetch()} />;
  if (isOver) return <Navigate replace to={`/bookings/${holdId}`} />;
  return (
    <div className="page max-w-4xl py-4 sm:py-6">
      {data ? <Checkout key={data.state} booking={data} /> : <div aria-hidden="true" className="skeleton h-96" />}
    </div>
  );
}

/** One step. It begins at its title, also for who listens or has scrolled to the button of the step before. */
function Checkout({ booking }: { booking: Booking }) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  const showtime = useQuery(showtimeQuery(booking.showtime_id));
  const hold = useQuery({
    queryKey: ["mine", "hold", booking.id],
    queryFn: async () => {
      const held = await told(api.GET("/api/holds/{hold_id}", { params: { path: { hold_id: booking.id } } }));
      setServerTime(held.server_time);
      return held;
    },
    staleTime: 0,
  });
  if (showtime.isError) return <Failure error={showtime.error} retry={() => void showtime.refetch()} />;
  if (showtime.isPending || hold.isPending) return <div aria-hidden="true" className="skeleton h-96" />;
  const { movie_title, starts_at, time_zone, theater_name, auditorium_name } = showtime.data;
  const isHeld = booking.state === "held";
  return (
    <>
      {isHeld && (
        <Link
          to={`/showtimes/${booking.showtime_id}`}
          className="inline-flex min-h-11 items-center gap-1 text-sm text-quiet hover:text-ink"
        >
          <Icon name="back" className="size-4" />
          {t("checkout.back")}
        </Link>
      )}
      <h1 ref={title} tabIndex={-1} className="text-2xl sm:text-3xl">
        {t(isHeld ? "checkout.title" : "pay.title")}
      </h1>
      <p className="mt-1 mb-5 text-quiet">
        <b className="text-ink">{movie_title}</b>, {longDay(starts_at, time_zone)}, {clock(starts_at, time_zone)} ·{" "}
        {theater_name}, {auditorium_name}
      </p>
      {isHeld ? (
        <OrderForm booking={booking} showtime={showtime.data} hold={hold.data ?? null} />
      ) : (
        <Payment booking={booking} />
      )}
    </>
  );
}

function Missing({ error, retry }: { error: unknown; retry: () => void }) {
  const isGone = error instanceof Problem && [401, 404, 410].includes(error.status);
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
