import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { t } from "../i18n";
import { date, duration, languageName, list, words } from "../lib/format";
import { Icon } from "../ui/Icon";
import { Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
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
      <Part>{film.data ? <Head film={film.data} /> : <HeadSkeleton />}</Part>
      <div className="page">
        <section aria-labelledby="showtimes" className="py-6">
          <h2 id="showtimes" className="mb-4">
            {t("film.showtimes")}
          </h2>
          <Part>
            <Showtimes
              listed={showtimes.data && underTheaters(showtimes.data)}
              error={showtimes.error}
              retry={() => void showtimes.refetch()}
            />
          </Part>
        </section>
        <Part>{film.data && <Reviews film={film.data} />}</Part>
      </div>
    </>
  );
}

function Head({ film }: { film: Movie }) {
  const facts = [film.year, film.certificate, duration(film.runtime_minutes), film.genres.map(words).join(", ")];
  return (
    // Dark in both themes.
    <div className="relative isolate overflow-hidden border-b border-line bg-ground text-ink [color-scheme:dark]">
      <img src={film.backdrop_url} alt="" className="absolute inset-0 -z-20 size-full object-cover opacity-45" />
      <div className="absolute inset-0 -z-10 bg-linear-to-t from-ground from-5% via-ground/85 to-ground/60" />
      <div className="page grid grid-cols-[7rem_1fr] gap-x-5 gap-y-6 py-8 sm:grid-cols-[minmax(9rem,15rem)_1fr] sm:gap-x-10 sm:py-12">
        <img
          src={film.poster_url}
          alt=""
          width={300}
          height={450}
          className="aspect-[2/3] w-full rounded-(--radius-card) bg-raised object-cover shadow-xl ring-1 ring-white/15 sm:row-span-2"
        />
        <div className="max-w-[65ch]">
          <h1>{film.title}</h1>
          {film.original_title !== film.title && <p className="text-quiet italic">{film.original_title}</p>}
          <p className="mt-1.5">{facts.filter(Boolean).join(" · ")}</p>
          <p className="mt-1">
            <Rating rating={film.rating} />
          </p>
        </div>
        <div className="max-w-[65ch] max-sm:col-span-2">
          {film.synopsis && <p className="leading-relaxed">{film.synopsis}</p>}
          <dl className="mt-4 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 [&_dt]:text-quiet">
            <Fact name={t("film.directors")} value={list(film.directors)} />
            <Fact name={t("film.cast")} value={film.cast.join(", ")} />
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
        </div>
      </div>
    </div>
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
    <div aria-hidden="true" className="page grid gap-6 py-8 sm:grid-cols-[minmax(9rem,15rem)_1fr] sm:gap-10">
      <div className="skeleton aspect-[2/3] w-36 sm:w-full" />
      <div className="grid content-start gap-3">
        <div className="skeleton h-10 w-2/3" />
        <div className="skeleton h-5 w-1/2" />
        <div className="skeleton h-28" />
      </div>
    </div>
  );
}
