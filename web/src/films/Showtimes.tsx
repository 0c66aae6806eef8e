import { useState } from "react";
import { Link } from "react-router";
import { t } from "../i18n";
import { serverNow } from "../lib/clock";
import { clock, languageName, longDay, money, shortDay } from "../lib/format";
import { Empty, Failure } from "../ui/Notice";
import { byDay, type Listed } from "./schedule";

interface ShowtimesProps {
  listed: Listed[] | undefined;
  error: unknown;
  retry: () => void;
}

/** A row of days and the showtimes of the selected day. */
export function Showtimes({ listed, error, retry }: ShowtimesProps) {
  const [chosen, setChosen] = useState<string>();
  if (error) return <Failure error={error} retry={retry} />;
  if (!listed) return <div aria-hidden="true" className="skeleton h-48" />;
  const days = byDay(listed);
  const day = days.find(({ date }) => date === chosen) ?? days[0];
  if (!day) return <Empty title={t("showtimes.none")}>{t("showtimes.noneYet")}</Empty>;
  return (
    <>
      <div
        role="group"
        aria-label={t("showtimes.days")}
        className="scroll-row -mx-4 mb-6 scroll-px-4 gap-2 px-4 pb-2 sm:mx-0 sm:px-0"
      >
        {days.map(({ date, groups }) => (
          <button
            key={date}
            type="button"
            aria-pressed={date === day.date}
            onClick={() => setChosen(date)}
            className="min-h-12 shrink-0 snap-start rounded-xl border border-line bg-paper px-4 font-semibold whitespace-nowrap hover:border-edge aria-pressed:border-accent aria-pressed:bg-accent aria-pressed:text-on-accent"
          >
            {dayName(groups, shortDay)}
          </button>
        ))}
      </div>
      <h3 className="sr-only">{dayName(day.groups, longDay)}</h3>
      <div className="grid gap-6">
        {day.groups.map((showtimes) => (
          <Group key={showtimes[0]?.heading.id} showtimes={showtimes} />
        ))}
      </div>
    </>
  );
}

/** The day's name in the time zone of its first showtime. */
function dayName(groups: Listed[][], name: typeof shortDay): string {
  const first = groups[0]?.[0];
  return first ? name(first.starts_at, first.time_zone) : "";
}

function Group({ showtimes }: { showtimes: Listed[] }) {
  const heading = showtimes[0]?.heading;
  if (!heading) return null;
  return (
    <section>
      <h4 className="mb-2.5 text-base">
        <Link to={heading.to} className="hover:underline">
          {heading.title} <span className="font-normal text-quiet">· {heading.note}</span>
        </Link>
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

function Chip({ showtime }: { showtime: Listed }) {
  const { starts_at, time_zone, price_from, subtitles, availability } = showtime;
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
  const closed = whyClosed(showtime);
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
      <Availability level={availability} />
    </Link>
  );
}

const LEVELS = {
  plenty: ["showtimes.plenty", "w-1/4 bg-good"],
  filling: ["showtimes.filling", "w-3/5 bg-warn"],
  few_left: ["showtimes.fewLeft", "w-11/12 bg-bad"],
  sold_out: ["showtimes.soldOut", "w-full bg-bad"],
} as const;

/** The occupancy as text and as a bar. */
function Availability({ level }: { level: Listed["availability"] }) {
  // A level that this version of the page does not know.
  if (!(level in LEVELS)) return null;
  const [text, look] = LEVELS[level];
  return (
    <span className="mt-1.5 block text-xs text-quiet">
      <span className="mb-1 block h-1 overflow-hidden rounded-full bg-line">
        <span className={`block h-full rounded-full ${look}`} />
      </span>
      {t(text)}
    </span>
  );
}

function whyClosed({ sales_open_at, sales_close_at, availability }: Listed): string | null {
  const now = serverNow();
  if (now < Date.parse(sales_open_at)) return t("showtimes.notYet");
  if (now >= Date.parse(sales_close_at)) return t("showtimes.over");
  return availability === "sold_out" ? t("showtimes.soldOut") : null;
}
