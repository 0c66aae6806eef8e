import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, unwrap } from "../api/client";
import { t } from "../i18n";
import { clock, longDay } from "../lib/format";
import { place } from "../seats/labels";
import { Failure } from "../ui/Notice";

/** The tickets that the person has accepted from others; nothing if there are none. */
export function ReceivedTickets() {
  const received = useQuery({
    queryKey: ["mine", "tickets"],
    queryFn: () => unwrap(api.GET("/api/tickets")),
    staleTime: 0,
  });
  if (received.isError) return <Failure error={received.error} retry={() => void received.refetch()} />;
  if (!received.data?.items.length) return null;
  return (
    <section className="mb-8" aria-labelledby="received">
      <h2 id="received" className="mb-3 text-lg">
        {t("received.list")}
      </h2>
      <ul className="grid gap-3">
        {received.data.items.map(({ ticket_id, screening, seat, status }) => (
          <li key={ticket_id}>
            <Link to={`/tickets/${ticket_id}`} className="card block p-5 transition-colors hover:border-accent-ink">
              <b className="block text-lg">
                <bdi>{screening.movie_title}</bdi>
              </b>
              <span className="block">
                {longDay(screening.starts_at, screening.time_zone)}, {clock(screening.starts_at, screening.time_zone)}
              </span>
              <span className="block text-sm text-quiet">
                <bdi>{screening.theater_name}</bdi>, <bdi>{screening.auditorium_name}</bdi> · {place(seat)}
                {status !== "valid" && <> · {t("received.void")}</>}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
