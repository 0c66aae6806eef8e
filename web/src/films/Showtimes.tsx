import type { UseQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { t } from "../i18n";
import { serverNow } from "../lib/clock";
import { clock, languageName, longDay, money, shortDay } from "../lib/format";
import { grouped } from "../lib/group";
import { Empty, Failure } from "../ui/Notice";
import type { Showtime } from "./queries";

interface ShowtimesProps {
  query: UseQueryResult<Showtime[]>;
  /** What a day's showtimes are grouped by: on a film's page by theater, on a theater's by film. */
  by: "theater" | "film";
}

/** A row of days to choose from, and that day's showtimes. */
export function Showtimes({ query, by }: ShowtimesProps) {
  const [chosen, setChosen] = useState<string>();
  if (query.isPending) return <div aria-hidden="true" className="skeleton h-48" />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const days = grouped(
    query.data.filter((showtime) => showtime.state === "scheduled"),
    (showtime) => showtime.local_date,
  );
  if (days.size === 0) return <Empty title={t("showtimes.none")}>{t("showtimes.noneYet")}</Empty>;
  const day = chosen && days.has(chosen) ? chosen : (days.keys().next().value ?? "");
  const ofDay = days.get(day) ?? [];
  const groups = grouped(ofDay, (showtime) => (by === "theater" ? showtime.theater_id : showtime.movie_id));
  return (
    <>
      <div
        role="group"
        aria-label={t("showtimes.days")}
        className="scroll-row -mx-4 scroll-px-4 mb-6 gap-2 px-4 pb-2 sm:mx-0 sm:px-0"
      >
        {[...days].map(([date, [first]]) => (
          <button
            key={date}
            type="button"
            aria-pressed={date === day}
            onClick={() => setChosen(date)}
            className="min-h-12 shrink-0 snap-start rounded-xl border border-line bg-paper px-4 font-semibold whitespace-nowrap hover:border-edge aria-pressed:border-accent aria-pressed:bg-accent aria-pressed:text-on-accent"
          >
            {first && shortDay(first.starts_at, first.time_zone)}
          </button>
        ))}
      </div>
      <h3 className="sr-only">{ofDay[0] && longDay(ofDay[0].starts_at, ofDay[0].time_zone)}</h3>
      <div className="grid gap-6">
        {[...groups].map(([id, here]) => (
          <Group key={id} showtimes={here} by={by} />
        ))}
      </div>
    </>
  );
}

function Group({ showtimes, by }: { showtimes: Showtime[]; by: ShowtimesProps["by"] }) {
  const [first] = showtimes;
  if (!first) return null;
  return (
    <section>
      <h4 className="mb-2.5 text-base">
        {by === "theater" ? (
          <Link to={`/theaters/${first.theater_id}`} className="hover:underline">
            {first.theater_name}
            <span className="font-normal text-quiet">, {first.city}</span>
          </Link>
        ) : (
          <Link to={`/movies/${first.movie_id}`} className="hover:underline">
            {first.movie_title} <span className="font-normal text-quiet">{first.certificate}</span>
          </Link>
        )}
      </h4>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(10.5rem,44%),1fr))] gap-3">
        {showtimes.map((showtime) => (
          <li key={showtime.id}>
            <Chip showtime={showtime} />
          </li>
        ))}
      </ul>
    </section>
  );
}

const CHIP = "block h-full rounded-xl border px-3.5 py-2.5 text-sm";

function Chip({ showtime }: { showtime: Showtime }) {
  const { starts_at, time_zone, price_from, subtitles, sales_open_at, sales_close_at } = showtime;
  const language = languageName(showtime.language);
  const inside = (
    <>
      <b className="block text-xl leading-tight">{clock(starts_at, time_zone)}</b>
      <span className="block text-quiet">
        {showtime.auditorium_name} · {showtime.format}
      </span>
      <span className="block text-quiet">
        {subtitles ? t("showtimes.subtitled", { language, subtitles: languageName(subtitles) }) : language}
      </span>
    </>
  );
  const closed = whyClosed(sales_open_at, sales_close_at);
  if (closed) {
    return (
      <div className={`${CHIP} border-dashed border-line text-quiet`}>
        {inside}
        <span className="block">{closed}</span>
      </div>
    );
  }
  return (
    <Link
      to={`/showtimes/${showtime.id}`}
      className={`${CHIP} border-line bg-paper transition-colors hover:border-accent-ink hover:bg-accent-soft`}
    >
      {inside}
      <span className="mt-0.5 block font-semibold text-accent-ink">
        {t("showtimes.from", { price: money(price_from.amount, price_from.currency) })}
      </span>
    </Link>
  );
}

function whyClosed(opens: string, closes: string): string | null {
  const now = serverNow();
  if (now < Date.parse(opens)) return t("showtimes.notYet");
  return now >= Date.parse(closes) ? t("showtimes.over") : null;
}
