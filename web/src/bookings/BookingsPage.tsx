import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { RequireSignIn } from "../account/RequireSignIn";
import { api, unwrap } from "../api/client";
import { named, t } from "../i18n";
import { clock, longDay, money } from "../lib/format";
import { names } from "../seats/labels";
import { Button, ButtonLink } from "../ui/Button";
import { Empty, Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { DeviceTickets } from "./DeviceTickets";
import type { Booking } from "./queries";
import { ReceivedTickets } from "./ReceivedTickets";

export default function BookingsPage() {
  usePageTitle(t("nav.bookings"));
  return (
    <div className="page max-w-4xl py-6 sm:py-10">
      <h1 className="mb-6">{t("nav.bookings")}</h1>
      <DeviceTickets />
      <RequireSignIn>
        <ReceivedTickets />
        <Bookings />
      </RequireSignIn>
      <Link to="/find-booking" className="link mt-5 inline-flex min-h-11 items-center">
        {t("lookup.asGuest")}
      </Link>
    </div>
  );
}

function Bookings() {
  const bookings = useInfiniteQuery({
    queryKey: ["mine", "bookings"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) => unwrap(api.GET("/api/bookings", { params: { query: { cursor, limit: 20 } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: 0,
  });
  if (bookings.isPending) return <div aria-hidden="true" className="skeleton h-48" />;
  if (bookings.isError) return <Failure error={bookings.error} retry={() => void bookings.refetch()} />;
  // Until 2026-12, a hold that was never checked out also became a booking.
  const shown = bookings.data.pages.flatMap((page) => page.items).filter((booking) => booking.reference);
  return (
    <>
      {shown.length === 0 && (
        <Empty title={t("bookings.none")}>
          <ButtonLink to="/">{t("nav.films")}</ButtonLink>
        </Empty>
      )}
      <ul className="grid gap-3">
        {shown.map((booking) => (
          <li key={booking.id}>
            <Part>
              <BookingCard booking={booking} />
            </Part>
          </li>
        ))}
      </ul>
      {bookings.hasNextPage && (
        <Button
          look="plain"
          className="mt-5"
          busy={bookings.isFetchingNextPage}
          onClick={() => void bookings.fetchNextPage()}
        >
          {t("more")}
        </Button>
      )}
    </>
  );
}

function BookingCard({ booking }: { booking: Booking }) {
  const { screening, amount, currency, state } = booking;
  const look =
    state === "confirmed"
      ? "bg-good-soft text-good"
      : state === "awaiting_payment"
        ? "bg-warn-soft text-warn"
        : "bg-raised text-quiet";
  return (
    <Link
      to={`/bookings/${booking.id}`}
      className="card flex flex-wrap items-start justify-between gap-x-6 gap-y-2 p-5 transition-colors hover:border-accent-ink"
    >
      <span>
        <b className="block text-lg">
          <bdi>{screening?.movie_title}</bdi>
        </b>
        {screening && (
          <span className="block">
            {longDay(screening.starts_at, screening.time_zone)}, {clock(screening.starts_at, screening.time_zone)}
          </span>
        )}
        <span className="block text-sm text-quiet">
          <bdi>{screening?.theater_name}</bdi>, <bdi>{screening?.auditorium_name}</bdi> ·{" "}
          <bdi>{names(booking.seats)}</bdi>
        </span>
      </span>
      <span className="grid gap-1 sm:justify-items-end">
        <span className={`w-max rounded-full px-3 py-1 text-sm font-semibold ${look}`}>{named("state", state)}</span>
        <span className="text-sm">
          <span className="font-mono tracking-wider">{booking.reference}</span>
          {amount !== null && currency && <> · {money(amount, currency)}</>}
        </span>
      </span>
    </Link>
  );
}
