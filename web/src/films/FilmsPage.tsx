import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";
import { Link, useSearchParams } from "react-router";
import { t, tn } from "../i18n";
import { date, duration, shortDay } from "../lib/format";
import { Icon } from "../ui/Icon";
import { Empty, Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { usePageTitle } from "../ui/usePageTitle";
import { genresQuery, type MovieCard, moviesQuery, theatersQuery } from "./queries";
import { Rating } from "./Rating";

/** Films now showing or coming soon. The search is stored in the address. */
export function FilmsPage() {
  const [params, setParams] = useSearchParams();
  const isSoon = params.get("show") === "soon";
  const filters = { genre: params.get("genre") ?? "", city: params.get("city") ?? "", date: params.get("date") ?? "" };
  const [q, setQ] = useState(params.get("q") ?? "");
  const asked = useDeferredValue(q.trim());
  const films = useQuery({
    ...moviesQuery({ status: isSoon ? "coming_soon" : "now_showing", q: asked, ...filters }),
    placeholderData: keepPreviousData,
  });
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
  // biome-ignore lint/correctness/useExhaustiveDependencies: only typing changes the address
  useEffect(() => {
    if (asked !== (params.get("q") ?? "")) change("q", asked);
  }, [asked]);

  const shown = films.data;
  const isFiltered = Boolean(asked || filters.genre || filters.city || filters.date);
  const clear = () => {
    setQ("");
    setParams(isSoon ? { show: "soon" } : {}, { replace: true });
  };
  return (
    <div className="page py-6 sm:py-10">
      <div className="mb-6 flex flex-wrap items-end justify-between gap-4">
        <h1>{t(isSoon ? "films.soon" : "films.now")}</h1>
        <div className="flex rounded-full bg-raised p-1" role="group" aria-label={t("films.when")}>
          <Choice isOn={!isSoon} onClick={() => change("show", "")} label={t("films.now")} />
          <Choice isOn={isSoon} onClick={() => change("show", "soon")} label={t("films.soon")} />
        </div>
      </div>
      <Part>
        <Filters q={q} setQ={setQ} filters={filters} change={change} isSoon={isSoon} />
      </Part>
      <p role="status" className="sr-only">
        {shown && tn("films.count", shown.length)}
      </p>
      {films.isPending && <Skeletons />}
      {films.isError && <Failure error={films.error} retry={() => void films.refetch()} />}
      {shown?.length === 0 && (
        <Empty title={t(isFiltered ? "films.none" : "films.noneYet")}>
          {isFiltered ? (
            <button type="button" className="link min-h-11" onClick={clear}>
              {t("films.all")}
            </button>
          ) : (
            t("films.lookAgain")
          )}
        </Empty>
      )}
      <ul className="grid grid-cols-2 gap-x-4 gap-y-8 sm:grid-cols-3 md:grid-cols-4 lg:grid-cols-5 lg:gap-x-6">
        {shown?.map((film, index) => (
          <li key={film.id}>
            <Part>
              <FilmCard film={film} isFirst={index < 5} />
            </Part>
          </li>
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
  filters: { genre: string; city: string; date: string };
  change: (name: string, value: string) => void;
  isSoon: boolean;
}

function Filters({ q, setQ, filters, change, isSoon }: FiltersProps) {
  const genres = useQuery(genresQuery);
  const theaters = useQuery(theatersQuery);
  const cities = [...new Set(theaters.data?.map((theater) => theater.address.city))].sort();
  return (
    <form role="search" className="mb-8 flex flex-wrap gap-3" onSubmit={(event) => event.preventDefault()}>
      <label className="relative min-w-0 flex-[3_1_16rem]">
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
      <Choose
        label={t("films.genre")}
        all={t("films.allGenres")}
        value={filters.genre}
        onChange={(code) => change("genre", code)}
      >
        {genres.data?.map(({ code, name }) => [code, name.charAt(0).toUpperCase() + name.slice(1)])}
      </Choose>
      {!isSoon && (
        <>
          <Choose
            label={t("films.city")}
            all={t("films.allCities")}
            value={filters.city}
            onChange={(city) => change("city", city)}
          >
            {cities.map((city) => [city, city])}
          </Choose>
          <Choose
            label={t("films.date")}
            all={t("films.anyDay")}
            value={filters.date}
            onChange={(date) => change("date", date)}
          >
            {nextDays().map((date) => [date, shortDay(`${date}T12:00:00`)])}
          </Choose>
        </>
      )}
    </form>
  );
}

const DAYS = 7;

/** Today and the days after it, as `2026-11-21`. */
function nextDays(): string[] {
  return Array.from({ length: DAYS }, (_, ahead) => {
    const day = new Date();
    day.setDate(day.getDate() + ahead);
    return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
  });
}

interface ChooseProps {
  label: string;
  all: string;
  value: string;
  onChange: (value: string) => void;
  /** Values and their labels. */
  children: [value: string, name: string][] | undefined;
}

function Choose({ label, all, value, onChange, children }: ChooseProps) {
  return (
    <label className="min-w-0 flex-[1_1_8.5rem] sm:max-w-48">
      <span className="sr-only">{label}</span>
      <select className="field rounded-full" value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{all}</option>
        {children?.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function FilmCard({ film, isFirst }: { film: MovieCard; isFirst: boolean }) {
  return (
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
  );
}

function Skeletons() {
  return (
    <div aria-hidden="true" className="grid grid-cols-2 gap-x-4 gap-y-8 sm:grid-cols-3 md:grid-cols-4 lg:grid-cols-5">
      {Array.from({ length: 10 }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the items are identical
        <div key={index}>
          <div className="skeleton mb-2.5 aspect-[2/3]" />
          <div className="skeleton mb-2 h-5 w-3/4" />
          <div className="skeleton h-4 w-1/2" />
        </div>
      ))}
    </div>
  );
}
