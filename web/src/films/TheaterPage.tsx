import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { named, t, tn } from "../i18n";
import { Dots } from "../ui/Dots";
import { Icon } from "../ui/Icon";
import { Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { type Theater, theaterFilmsQuery, theaterQuery, theaterShowtimesQuery } from "./queries";
import { Showtimes } from "./Showtimes";
import { underFilms } from "./schedule";

/** A theater's programme: its films with their posters and times, day by day. */
export default function TheaterPage() {
  const { theaterId = "" } = useParams();
  const theater = useQuery(theaterQuery(theaterId));
  const showtimes = useQuery(theaterShowtimesQuery(theaterId));
  const films = useQuery(theaterFilmsQuery(theaterId));
  usePageTitle(theater.data?.name);
  if (theater.isError) {
    return (
      <div className="page py-6 sm:py-10">
        <h1>{t("theater.missing")}</h1>
        <Failure error={theater.error} retry={() => void theater.refetch()} />
      </div>
    );
  }
  const posters = new Map(films.data?.map(({ id, poster_url }) => [id, poster_url]));
  return (
    <div className="page py-2 max-sm:py-4 roomy:py-8">
      <Part>
        {theater.data ? <Address theater={theater.data} /> : <div aria-hidden="true" className="skeleton h-32" />}
      </Part>
      <Part>
        <Showtimes
          // The posters are awaited: they would push the times aside.
          listed={showtimes.data && !films.isPending ? underFilms(showtimes.data, posters) : undefined}
          error={showtimes.error}
          retry={() => void showtimes.refetch()}
        />
      </Part>
      <Part>{theater.data && <Auditoriums theater={theater.data} />}</Part>
    </div>
  );
}

function Address({ theater }: { theater: Theater }) {
  const { street, postal_code, city } = theater.address;
  const { latitude, longitude } = theater.position;
  return (
    <>
      <h1 className="compact:text-2xl">
        <bdi>{theater.name}</bdi>
      </h1>
      <p className="mt-1 flex flex-wrap items-center gap-x-4">
        <span className="inline-flex items-center gap-1.5">
          <Icon name="place" className="size-5 text-accent-ink" />
          <span>
            <bdi>{street}</bdi>, <bdi>{postal_code}</bdi> <bdi>{city}</bdi>
          </span>
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
      <p className="text-quiet">
        <Dots facts={theater.features.map((code) => named("feature", code))} />
      </p>
    </>
  );
}

function Auditoriums({ theater }: { theater: Theater }) {
  return (
    <section aria-labelledby="auditoriums" className="border-t border-line py-6">
      <h2 id="auditoriums" className="mb-4">
        {t("theater.auditoriumsTitle")}
      </h2>
      <ul className="flex flex-wrap gap-3">
        {theater.auditoriums.map((auditorium) => (
          <li key={auditorium.id} className="card px-4 py-2.5 text-sm">
            <b>
              <bdi>{auditorium.name}</bdi>
            </b>{" "}
            · {tn("theater.seats", auditorium.capacity)}
            <span className="block text-quiet">
              <Dots facts={auditorium.features.map((code) => named("feature", code))} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
