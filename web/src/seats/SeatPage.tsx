import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useParams } from "react-router";
import type { Schemas } from "../api/client";
import { ExchangeNotice } from "../bookings/Exchange";
import { exchanging } from "../bookings/exchanging";
import { showtimeQuery } from "../films/queries";
import { t, tn } from "../i18n";
import { clock, languageName, longDay, shortDay } from "../lib/format";
import { announce } from "../ui/announce";
import { Dots } from "../ui/Dots";
import { Icon } from "../ui/Icon";
import { Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { seatsQuery } from "./queries";
import { Selling } from "./Selling";

export default function SeatPage() {
  const { showtimeId = "" } = useParams();
  const showtime = useQuery(showtimeQuery(showtimeId));
  const seating = useQuery(seatsQuery(showtimeId));
  usePageTitle(showtime.data?.movie_title);
  const [exchange, setExchange] = useState(exchanging);
  const failure = showtime.error ?? seating.error;
  const free = seating.data && seating.data.layout.seats.length - Object.keys(seating.data.taken).length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: announced once, when the seats are loaded
  useEffect(() => {
    if (free !== undefined) announce(tn("map.free", free));
  }, [seating.isSuccess]);

  if (failure && !seating.data) {
    return (
      <div className="page py-8">
        <h1>{t("seats.missing")}</h1>
        <Failure
          error={failure}
          retry={() => {
            void showtime.refetch();
            void seating.refetch();
          }}
        />
      </div>
    );
  }
  return (
    <div className="page py-2 roomy:py-6">
      {showtime.data ? (
        <Part>
          <Head showtime={showtime.data} />
        </Part>
      ) : (
        <div aria-hidden="true" className="skeleton mb-1 h-16 roomy:mb-4 roomy:h-32" />
      )}
      {exchange && (
        <div className="mb-3" data-behind>
          <ExchangeNotice exchange={exchange} onEnd={() => setExchange(null)} />
        </div>
      )}
      {showtime.data && seating.data ? (
        <Part>
          <Selling key={showtimeId} showtime={showtime.data} seating={seating.data} />
        </Part>
      ) : (
        <div aria-hidden="true" className="skeleton h-dvh" />
      )}
    </div>
  );
}

function Head({ showtime }: { showtime: Schemas["CatalogShowtimeResponse"] }) {
  const { movie_id, movie_title, starts_at, time_zone, theater_id, theater_name, city, auditorium_name } = showtime;
  return (
    <div className="mb-1 roomy:mb-4" data-behind>
      <div className="flex items-center roomy:block">
        <Link
          to={`/movies/${movie_id}?date=${showtime.local_date}`}
          className="inline-flex min-h-11 items-center gap-1 text-sm text-quiet hover:text-ink compact:-ml-3 compact:size-11 compact:justify-center"
        >
          <Icon name="back" className="size-4 compact:size-5" />
          <span className="compact:sr-only">{t("seats.back")}</span>
        </Link>
        <h1 className="min-w-0 flex-1 text-xl compact:truncate roomy:text-3xl">
          <bdi>{movie_title}</bdi>
        </h1>
        <p className="pl-2 text-sm font-medium whitespace-nowrap roomy:hidden">
          {shortDay(starts_at, time_zone)}, {clock(starts_at, time_zone)}
        </p>
      </div>
      <p className="font-medium compact:hidden roomy:mt-1">
        {longDay(starts_at, time_zone)}, {clock(starts_at, time_zone)}
      </p>
      <p className="text-sm text-quiet compact:truncate">
        <Link to={`/theaters/${theater_id}`} className="hover:underline">
          <bdi>{theater_name}</bdi>, <bdi>{city}</bdi>
        </Link>
        {" · "}
        <Dots facts={[auditorium_name, showtime.format, languageName(showtime.language), showtime.certificate]} />
      </p>
    </div>
  );
}
