import { Link } from "react-router";
import { useSession } from "../api/useSession";
import { t } from "../i18n";
import { clock, fullDate, longDay } from "../lib/format";
import { names } from "../seats/labels";
import { Button } from "../ui/Button";
import { forget, useKeptTickets } from "./device";

/** The tickets that are kept on this device, to open or erase; nothing if there are none. */
export function DeviceTickets() {
  const kept = useKeptTickets(useSession().user?.user_id);
  if (kept.length === 0) return null;
  return (
    <section className="mb-8" aria-labelledby="kept">
      <h2 id="kept" className="mb-3 text-lg">
        {t("kept.title")}
      </h2>
      <ul className="grid gap-3">
        {kept.map(({ booking: { id, screening, seats, reference }, savedAt }) => (
          <li key={id} className="card flex flex-wrap items-center justify-between gap-x-6 gap-y-2 p-5">
            <Link to={`/bookings/${id}`} className="hover:underline">
              <b className="block text-lg">
                <bdi>{screening?.movie_title}</bdi>
              </b>
              {screening && (
                <span className="block">
                  {longDay(screening.starts_at, screening.time_zone)}, {clock(screening.starts_at, screening.time_zone)}
                </span>
              )}
              <span className="block text-sm text-quiet">
                {reference} · {names(seats)} · {t("kept.savedAt", { time: fullDate(savedAt) })}
              </span>
            </Link>
            <Button look="plain" onClick={() => forget(id)}>
              {t("kept.erase")}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
