import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { isolated, named, t } from "../i18n";
import { date, duration, languageName, list } from "../lib/format";
import { Dots } from "../ui/Dots";
import { Icon } from "../ui/Icon";
import { Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { useMedia } from "../ui/useMedia";
import { usePageTitle } from "../ui/usePageTitle";
import { type Movie, movieQuery, movieShowtimesQuery } from "./queries";
import { Rating } from "./Rating";
import { Reviews } from "./Reviews";
import { Showtimes } from "./Showtimes";
import { underTheaters } from "./schedule";

export default function FilmPage() {
  const { movieId = "" } = useParams();
  const film = useQuery(movieQuery(movieId));
  const showtimes = useQuery(movieShowtimesQuery(movieId));
  usePageTitle(film.data?.title);
  // On a small screen, also of a phone on its side, the first showtimes must be in sight, so that the synopsis follows them.
  const isSmall = useMedia("(max-width: 40rem), (max-height: 30rem)");

  if (film.isError) {
    return (
      <div className="page py-8">
        <h1>{t("film.missing")}</h1>
        <Failure error={film.error} retry={() => void film.refetch()} />
      </div>
    );
  }
  return (
    <>
      <Part>{film.data ? <Head film={film.data} isSmall={isSmall} /> : <HeadSkeleton />}</Part>
      <div className="page">
        <Part>
          <Showtimes
            hasCities
            listed={showtimes.data && underTheaters(showtimes.data)}
            error={showtimes.error}
            retry={() => void showtimes.refetch()}
          />
        </Part>
        {isSmall && (
          <Part>
            {film.data && (
              <section aria-labelledby="about" className="border-t border-line py-6">
                <h2 id="about" className="mb-3">
                  {t("film.about")}
                </h2>
                <Details film={film.data} />
              </section>
            )}
          </Part>
        )}
        <Part>{film.data && <Reviews film={film.data} />}</Part>
      </div>
    </>
  );
}

const HEAD =
  "page grid grid-cols-[4rem_1fr] gap-x-4 py-2 max-sm:grid-cols-[5rem_1fr] max-sm:py-4 roomy:grid-cols-[minmax(9rem,15rem)_1fr] roomy:grid-rows-[auto_1fr] roomy:gap-x-10 roomy:gap-y-6 roomy:py-12";

function Head({ film, isSmall }: { film: Movie; isSmall: boolean }) {
  const genres = film.genres.map((code) => named("genre", code)).join(", ");
  const facts = [film.year, film.certificate, duration(film.runtime_minutes), genres];
  return (
    // Dark in both themes.
    <div className="relative isolate overflow-hidden border-b border-line bg-ground text-ink [color-scheme:dark]">
      <img src={film.backdrop_url} alt="" className="absolute inset-0 -z-20 size-full object-cover opacity-45" />
      <div className="absolute inset-0 -z-10 bg-linear-to-t from-ground from-5% via-ground/85 to-ground/60" />
      <div className={HEAD}>
        <img
          src={film.poster_url}
          alt=""
          width={300}
          height={450}
          className="aspect-[2/3] w-full rounded-(--radius-card) bg-raised object-cover shadow-xl ring-1 ring-white/15 roomy:row-span-2"
        />
        <div className="max-w-[65ch]">
          <h1 className="compact:text-2xl">
            <bdi>{film.title}</bdi>
          </h1>
          {film.original_title !== film.title && (
            <p className="text-quiet italic">
              <bdi>{film.original_title}</bdi>
            </p>
          )}
          <p className="mt-1.5 compact:text-sm">
            <Dots facts={facts} />
          </p>
          <p className="mt-1">
            <Rating rating={film.rating} />
          </p>
        </div>
        {!isSmall && (
          <div className="max-w-[65ch]">
            <Details film={film} />
          </div>
        )}
      </div>
    </div>
  );
}

/** The synopsis and the people. */
function Details({ film }: { film: Movie }) {
  return (
    <>
      {film.synopsis && (
        <p dir="auto" className="leading-relaxed">
          {film.synopsis}
        </p>
      )}
      <dl className="mt-4 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 [&_dt]:text-quiet">
        <Fact name={t("film.directors")} value={list(film.directors)} />
        <Fact name={t("film.cast")} value={film.cast.map(isolated).join(", ")} />
        <Fact name={t("film.language")} value={languageName(film.original_language)} />
        {film.status === "coming_soon" && film.release_date && (
          <Fact name={t("film.release")} value={date(film.release_date)} />
        )}
      </dl>
      {film.trailer_url && (
        <a
          href={film.trailer_url}
          target="_blank"
          rel="noreferrer"
          className="link mt-4 inline-flex min-h-11 items-center gap-2"
        >
          <Icon name="play" className="size-4" filled />
          {t("film.trailer")}
        </a>
      )}
    </>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  if (!value) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function HeadSkeleton() {
  return (
    <div aria-hidden="true" className="border-b border-line bg-ground text-ink [color-scheme:dark]">
      <div className={HEAD}>
        <div className="skeleton aspect-[2/3] roomy:row-span-2" />
        <div className="grid content-start gap-3">
          <div className="skeleton h-8 w-2/3" />
          <div className="skeleton h-5 w-1/2" />
        </div>
        <div className="skeleton h-28 compact:hidden" />
      </div>
    </div>
  );
}
