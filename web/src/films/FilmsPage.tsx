import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useDeferredValue, useEffect, useState } from "react";
import { Link } from "react-router";
import { capitalized, named, t, tn } from "../i18n";
import { date, duration } from "../lib/format";
import { Dots } from "../ui/Dots";
import { Icon } from "../ui/Icon";
import { Empty, Failure } from "../ui/Notice";
import { Part } from "../ui/Part";
import { Select } from "../ui/Select";
import { usePageTitle } from "../ui/usePageTitle";
import { genresQuery, type MovieCard, moviesQuery, theatersQuery } from "./queries";
import { Rating } from "./Rating";
import { dayName, Times } from "./Times";
import { dayAfterToday, useWishes, type Wishes } from "./wishes";

/** Films now showing or coming soon. The search is stored in the address. */
export function FilmsPage() {
  const { wishes, change, query, params } = useWishes();
  const isSoon = params.get("show") === "soon";
  const genre = params.get("genre") ?? "";
  const [q, setQ] = useState(params.get("q") ?? "");
  const asked = useDeferredValue(q.trim());
  const films = useQuery({
    ...moviesQuery({
      status: isSoon ? "coming_soon" : "now_showing",
      q: asked,
      genre,
      ...(isSoon ? NO_WISHES : wishes),
    }),
    placeholderData: keepPreviousData,
  });
  usePageTitle("");

  // biome-ignore lint/correctness/useExhaustiveDependencies: only typing changes the address
  useEffect(() => {
    if (asked !== (params.get("q") ?? "")) change({ q: asked });
  }, [asked]);

  const shown = films.data;
  const isFiltered = Boolean(asked || genre || query);
  const clear = () => {
    setQ("");
    change({ q: "", genre: "", ...NO_WISHES });
  };
  return (
    <div className="page py-6 sm:py-10">
      <div className="mb-6 flex flex-wrap items-end justify-between gap-4">
        <h1>{t(isSoon ? "films.soon" : "films.now")}</h1>
        <div className="flex rounded-full bg-raised p-1" role="group" aria-label={t("films.when")}>
          <Choice isOn={!isSoon} onClick={() => change({ show: "" })} label={t("films.now")} />
          <Choice isOn={isSoon} onClick={() => change({ show: "soon" })} label={t("films.soon")} />
        </div>
      </div>
      <Part>
        <Filters q={q} setQ={setQ} genre={genre} wishes={wishes} change={change} isSoon={isSoon} />
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
              <FilmCard film={film} query={isSoon ? "" : query} isFirst={index < 5} />
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
  genre: string;
  wishes: Wishes;
  change: (changes: Record<string, string>) => void;
  isSoon: boolean;
}

function Filters({ q, setQ, genre, wishes, change, isSoon }: FiltersProps) {
  const genres = useQuery(genresQuery);
  const theaters = useQuery(theatersQuery);
  const cities = [...new Set(theaters.data?.map((theater) => theater.address.city))].sort();
  const days = Array.from({ length: DAYS }, (_, ahead) => dayAfterToday(ahead));
  if (wishes.date && !days.includes(wishes.date)) days.unshift(wishes.date);
  const tonight = { date: dayAfterToday(0), time: "evening" };
  const isTonight = wishes.date === tonight.date && wishes.time === tonight.time;
  return (
    <form
      role="search"
      className="mb-8 grid grid-cols-2 gap-2 sm:flex sm:flex-wrap sm:gap-3"
      onSubmit={(event) => event.preventDefault()}
    >
      <label className="relative col-span-2 min-w-0 flex-[3_1_16rem]">
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
      <Select
        className={NARROW}
        label={t("films.genre")}
        all={t("films.allGenres")}
        value={genre}
        onChange={(code) => change({ genre: code })}
        options={genres.data?.map(({ code, name }) => [code, capitalized(named("genre", code, name))])}
      />
      {!isSoon && (
        <>
          <Select
            className={NARROW}
            label={t("films.city")}
            all={t("films.allCities")}
            value={wishes.city}
            onChange={(city) => change({ city })}
            options={cities.map((city) => [city, city])}
          />
          <Select
            className={NARROW}
            label={t("films.date")}
            all={t("films.anyDay")}
            value={wishes.date}
            onChange={(date) => change({ date })}
            options={days.map((day) => [day, dayName(day)])}
          />
          <Times className={NARROW} time={wishes.time} change={change} />
          <button
            type="button"
            aria-pressed={isTonight}
            onClick={() => change(isTonight ? { date: "", time: "" } : tonight)}
            className="min-h-11 rounded-full border border-edge bg-paper px-5 font-semibold aria-pressed:border-accent aria-pressed:bg-accent aria-pressed:text-on-accent max-sm:col-span-2"
          >
            {t("films.tonight")}
          </button>
        </>
      )}
    </form>
  );
}

/** `comedy` as `Comedy`. */

const DAYS = 7;
const NARROW = "flex-[1_1_8.5rem] sm:max-w-44";
const NO_WISHES: Wishes = { city: "", date: "", time: "" };

function FilmCard({ film, query, isFirst }: { film: MovieCard; query: string; isFirst: boolean }) {
  return (
    <Link to={`/movies/${film.id}${query}`} className="group block">
      <img
        src={film.poster_url}
        alt=""
        width={300}
        height={450}
        loading={isFirst ? "eager" : "lazy"}
        className="mb-2.5 aspect-[2/3] w-full rounded-(--radius-card) bg-raised object-cover shadow-md transition-transform duration-200 group-hover:-translate-y-1"
      />
      <span className="block leading-snug font-bold group-hover:underline">
        <bdi>{film.title}</bdi>
      </span>
      <span className="mt-0.5 block text-sm text-quiet">
        <Dots facts={[film.year, film.certificate, duration(film.runtime_minutes)]} />
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
