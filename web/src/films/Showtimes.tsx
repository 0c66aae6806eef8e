import { Link } from "react-router";
import { t } from "../i18n";
import { serverNow } from "../lib/clock";
import { clock, languageName, longDay, money, weekdayAfter } from "../lib/format";
import { Dots } from "../ui/Dots";
import { Empty, Failure } from "../ui/Notice";
import { Select } from "../ui/Select";
import { hasWaitlist } from "../waitlist/closing";
import { byDay, type Listed } from "./schedule";
import { dayName, Times } from "./Times";
import { atTime, useWishes } from "./wishes";

interface ShowtimesProps {
  listed: Listed[] | undefined;
  error: unknown;
  retry: () => void;
  /** Whether the showtimes can be in several cities. */
  hasCities?: boolean;
}

/** The showtimes of one day, under their title and the choice of the day, the time of day and the city. */
export function Showtimes({ listed, error, retry, hasCities = false }: ShowtimesProps) {
  const { wishes, change } = useWishes();
  const cities = hasCities ? [...new Set(listed?.map(({ heading }) => heading.note))].sort() : [];
  const isFiltered = Boolean((hasCities && wishes.city) || wishes.time);
  const near = listed?.filter(({ heading }) => !hasCities || !wishes.city || heading.note === wishes.city);
  return (
    <section aria-labelledby="showtimes" className="py-2 max-sm:py-5 roomy:py-6">
      <div className="mb-3 flex flex-wrap items-center gap-2 roomy:mb-4">
        <h2 id="showtimes" className={`mr-auto ${hasCities ? "max-sm:w-full" : ""}`}>
          {t("film.showtimes")}
        </h2>
        {hasCities && (
          <Select
            className="max-sm:flex-1"
            label={t("films.city")}
            all={t("films.allCities")}
            value={wishes.city}
            onChange={(city) => change({ city })}
            options={cities.map((city) => [city, city])}
          />
        )}
        <Times className={hasCities ? "max-sm:flex-1" : ""} time={wishes.time} change={change} />
      </div>
      {error ? (
        <Failure error={error} retry={retry} />
      ) : !near ? (
        <div aria-hidden="true" className="skeleton h-dvh" />
      ) : (
        <Days
          listed={atTime(near, wishes.time)}
          date={wishes.date}
          choose={(date) => change({ date })}
          clear={isFiltered ? () => change({ city: "", time: "" }) : undefined}
        />
      )}
    </section>
  );
}

interface DaysProps {
  listed: Listed[];
  date: string;
  choose: (date: string) => void;
  /** Shows what the filters hide, if there are any. */
  clear: (() => void) | undefined;
}

/** A row of days and the showtimes of the selected day. */
function Days({ listed, date: chosen, choose, clear }: DaysProps) {
  const days = byDay(listed);
  const day = days.find(({ date }) => date === chosen) ?? days[0];
  if (!day) {
    return (
      <Empty title={t("showtimes.none")}>
        {clear ? (
          <button type="button" className="link min-h-11" onClick={clear}>
            {t("showtimes.all")}
          </button>
        ) : (
          t("showtimes.noneYet")
        )}
      </Empty>
    );
  }
  return (
    <>
      <div
        role="group"
        aria-label={t("showtimes.days")}
        className="scroll-row -mx-4 mb-4 scroll-px-4 gap-2 px-4 pb-2 sm:mx-0 sm:px-0 roomy:mb-6"
      >
        {days.map(({ date }) => (
          <button
            key={date}
            type="button"
            aria-pressed={date === day.date}
            onClick={() => choose(date)}
            className="min-h-12 shrink-0 snap-start rounded-xl border border-line bg-paper px-4 font-semibold whitespace-nowrap hover:border-edge aria-pressed:border-accent aria-pressed:bg-accent aria-pressed:text-on-accent"
          >
            {dayName(date)}
          </button>
        ))}
      </div>
      <h3 className="sr-only">{dayName(day.date, longDay)}</h3>
      <div className="grid gap-6">
        {day.groups.map((showtimes) => (
          <Group key={showtimes[0]?.heading.id} showtimes={showtimes} />
        ))}
      </div>
    </>
  );
}

function Group({ showtimes }: { showtimes: Listed[] }) {
  const { query } = useWishes();
  const heading = showtimes[0]?.heading;
  if (!heading) return null;
  return (
    <section className={heading.poster && "grid grid-cols-[4rem_1fr] gap-x-4 sm:grid-cols-[7rem_1fr] sm:gap-x-6"}>
      {heading.poster && (
        <img
          src={heading.poster}
          alt=""
          width={300}
          height={450}
          className="row-span-2 aspect-[2/3] w-full rounded-lg bg-raised object-cover"
        />
      )}
      <h4 className="mb-2.5 text-base sm:text-lg">
        <Link to={heading.to + query} className="hover:underline">
          <bdi>{heading.title}</bdi>{" "}
          {heading.note && (
            <span className="font-normal text-quiet">
              · <bdi>{heading.note}</bdi>
            </span>
          )}
        </Link>
      </h4>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(10.5rem,44%),1fr))] content-start gap-2 sm:gap-3">
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
  const weekday = weekdayAfter(starts_at, time_zone, showtime.local_date);
  const inside = (
    <>
      <b className="block text-xl leading-tight">
        {clock(starts_at, time_zone)} {weekday && <span className="text-base font-normal">{weekday}</span>}
      </b>
      <span className="block text-quiet">
        <Dots facts={[showtime.auditorium_name, showtime.format]} />
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
        {isOnSale(showtime) && hasWaitlist(starts_at) && (
          <Link
            to={`/showtimes/${showtime.id}/waitlist`}
            className="link inline-flex min-h-11 items-center font-semibold"
          >
            {t("waitlist.join")}
          </Link>
        )}
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

/** Whether tickets are on sale now, if there are seats. */
function isOnSale({ sales_open_at, sales_close_at }: Listed): boolean {
  const now = serverNow();
  return now >= Date.parse(sales_open_at) && now < Date.parse(sales_close_at);
}

function whyClosed({ sales_open_at, sales_close_at, availability }: Listed): string | null {
  const now = serverNow();
  if (now < Date.parse(sales_open_at)) return t("showtimes.notYet");
  if (now >= Date.parse(sales_close_at)) return t("showtimes.over");
  return availability === "sold_out" ? t("showtimes.soldOut") : null;
}
