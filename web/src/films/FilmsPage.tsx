import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { t, tn } from "../i18n";
import { date, duration } from "../lib/format";
import { Icon } from "../ui/Icon";
import { Empty, Failure } from "../ui/Notice";
import { usePageTitle } from "../ui/usePageTitle";
import { genresQuery, type MovieCard, moviesQuery } from "./queries";
import { Rating } from "./Rating";

/** Films now showing or coming soon; what is looked for stands in the address. */
export function FilmsPage() {
  const [params, setParams] = useSearchParams();
  const isSoon = params.get("show") === "soon";
  const genre = params.get("genre") ?? "";
  const [q, setQ] = useState(params.get("q") ?? "");
  const asked = useDeferredValue(q.trim());
  const films = useQuery({ ...moviesQuery(asked, genre), placeholderData: keepPreviousData });
  usePageTitle("");

  const change = (name: string, value: string) =>
    setParams(
      (old) => {
        if (value) old.set(name, value);
        else old.delete(name);
        return old;
      },
      { replace: true, preventScrollReset: true },
    );
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what is typed changes the address
  useEffect(() => {
    if (asked !== (params.get("q") ?? "")) change("q", asked);
  }, [asked]);

  const shown = films.data?.filter((film) => film.status === (isSoon ? "coming_soon" : "now_showing"));
  return (
    <div className="page py-6 sm:py-10">
      <div className="mb-6 flex flex-wrap items-end justify-between gap-4">
        <h1>{t(isSoon ? "films.soon" : "films.now")}</h1>
        <div className="flex rounded-full bg-raised p-1" role="group" aria-label={t("films.when")}>
          <Choice isOn={!isSoon} onClick={() => change("show", "")} label={t("films.now")} />
          <Choice isOn={isSoon} onClick={() => change("show", "soon")} label={t("films.soon")} />
        </div>
      </div>
      <Filters q={q} setQ={setQ} genre={genre} setGenre={(code) => change("genre", code)} />
      <p role="status" className="sr-only">
        {shown && tn("films.count", shown.length)}
      </p>
      {films.isPending && <Skeletons />}
      {films.isError && <Failure error={films.error} retry={() => void films.refetch()} />}
      {shown?.length === 0 && (
        <Empty title={t("films.none")}>
          {asked || genre ? (
            <button
              type="button"
              className="link min-h-11"
              onClick={() => {
                setQ("");
                change("genre", "");
              }}
            >
              {t("films.all")}
            </button>
          ) : (
            t("films.noneYet")
          )}
        </Empty>
      )}
      <ul className="grid grid-cols-2 gap-x-4 gap-y-8 sm:grid-cols-3 md:grid-cols-4 lg:grid-cols-5 lg:gap-x-6">
        {shown?.map((film, index) => (
          <FilmCard key={film.id} film={film} isFirst={index < 5} />
        ))}
      </ul>
    </div>
  );
}

function Choice({ isOn, onClick, label }: { isOn: boolean; onClick: () => void; label: string }) {
  return (
    <button
      type="button"
      aria-pressed={isOn}
      onClick={onClick}
      className="min-h-11 rounded-full px-4 font-semibold text-quiet aria-pressed:bg-paper aria-pressed:text-ink aria-pressed:shadow-sm"
    >
      {label}
    </button>
  );
}

interface FiltersProps {
  q: string;
  setQ: (text: string) => void;
  genre: string;
  setGenre: (code: string) => void;
}

function Filters({ q, setQ, genre, setGenre }: FiltersProps) {
  const genres = useQuery(genresQuery);
  return (
    <form role="search" className="mb-8 flex flex-wrap gap-3" onSubmit={(event) => event.preventDefault()}>
      <label className="relative min-w-0 flex-[2_1_16rem]">
        <span className="sr-only">{t("films.search")}</span>
        <Icon
          name="search"
          className="pointer-events-none absolute top-1/2 left-3 size-5 -translate-y-1/2 text-quiet"
        />
        <input
          type="search"
          className="field rounded-full pl-10"
          placeholder={t("films.search")}
          value={q}
          maxLength={100}
          onChange={(event) => setQ(event.target.value)}
        />
      </label>
      <label className="min-w-0 flex-[1_1_10rem] sm:max-w-56">
        <span className="sr-only">{t("films.genre")}</span>
        <select className="field rounded-full" value={genre} onChange={(event) => setGenre(event.target.value)}>
          <option value="">{t("films.allGenres")}</option>
          {genres.data?.map(({ code, name }) => (
            <option key={code} value={code}>
              {name.charAt(0).toUpperCase() + name.slice(1)}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}

function FilmCard({ film, isFirst }: { film: MovieCard; isFirst: boolean }) {
  return (
    <li>
      <Link to={`/movies/${film.id}`} className="group block">
        <img
          src={film.poster_url}
          alt=""
          width={300}
          height={450}
          loading={isFirst ? "eager" : "lazy"}
          className="mb-2.5 aspect-[2/3] w-full rounded-(--radius-card) bg-raised object-cover shadow-md transition-transform duration-200 group-hover:-translate-y-1"
        />
        <span className="block leading-snug font-bold group-hover:underline">{film.title}</span>
        <span className="mt-0.5 block text-sm text-quiet">
          {[film.year, film.certificate, duration(film.runtime_minutes)].filter(Boolean).join(" · ")}
        </span>
        {film.status === "coming_soon" && film.release_date && (
          <span className="block text-sm text-accent-ink">{t("films.from", { date: date(film.release_date) })}</span>
        )}
        <Rating rating={film.rating} />
      </Link>
    </li>
  );
}

function Skeletons() {
  return (
    <div aria-hidden="true" className="grid grid-cols-2 gap-x-4 gap-y-8 sm:grid-cols-3 md:grid-cols-4 lg:grid-cols-5">
      {Array.from({ length: 10 }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
        <div key={index}>
          <div className="skeleton mb-2.5 aspect-[2/3]" />
          <div className="skeleton mb-2 h-5 w-3/4" />
          <div className="skeleton h-4 w-1/2" />
        </div>
      ))}
    </div>
  );
}
