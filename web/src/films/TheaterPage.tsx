import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { named, t, tn } from "../i18n";
import { Icon } from "../ui/Icon";
import { Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { type Theater, theaterQuery, theaterShowtimesQuery } from "./queries";
import { Showtimes } from "./Showtimes";
import { underFilms } from "./schedule";

export default function TheaterPage() {
  const { theaterId = "" } = useParams();
  const theater = useQuery(theaterQuery(theaterId));
  const showtimes = useQuery(theaterShowtimesQuery(theaterId));
  usePageTitle(theater.data?.name);
  return (
    <div className="page py-6 sm:py-10">
      {theater.isPending && <div aria-hidden="true" className="skeleton h-32" />}
      {theater.isError && (
        <>
          <h1>{t("theater.missing")}</h1>
          <Failure error={theater.error} retry={() => void theater.refetch()} />
        </>
      )}
      <Part>{theater.data && <Facts theater={theater.data} />}</Part>
      {!theater.isError && (
        <section aria-labelledby="showtimes" className="py-8">
          <h2 id="showtimes" className="mb-4">
            {t("film.showtimes")}
          </h2>
          <Part>
            <Showtimes
              listed={showtimes.data && underFilms(showtimes.data)}
              error={showtimes.error}
              retry={() => void showtimes.refetch()}
            />
          </Part>
        </section>
      )}
    </div>
  );
}

function Facts({ theater }: { theater: Theater }) {
  const { street, postal_code, city } = theater.address;
  const { latitude, longitude } = theater.position;
  return (
    <>
      <h1>{theater.name}</h1>
      <p className="mt-2 flex flex-wrap items-center gap-x-4">
        <span className="inline-flex items-center gap-1.5">
          <Icon name="place" className="size-5 text-accent-ink" />
          {street}, {postal_code} {city}
        </span>
        <a
          className="link inline-flex min-h-11 items-center"
          href={`https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=17/${latitude}/${longitude}`}
          target="_blank"
          rel="noreferrer"
        >
          {t("theater.map")}
        </a>
      </p>
      <p className="text-quiet">{theater.features.map((code) => named("feature", code)).join(" · ")}</p>
      <ul className="mt-5 flex flex-wrap gap-3">
        {theater.auditoriums.map((auditorium) => (
          <li key={auditorium.id} className="card px-4 py-2.5 text-sm">
            <b>{auditorium.name}</b> · {tn("theater.seats", auditorium.capacity)}
            <span className="block text-quiet">
              {auditorium.features.map((code) => named("feature", code)).join(" · ")}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
