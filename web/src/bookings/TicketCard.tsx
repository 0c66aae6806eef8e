import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Schemas } from "../api/client";
import { movieQuery, showtimeQuery } from "../films/queries";
import { named, t } from "../i18n";
import { clock, longDay } from "../lib/format";
import { place } from "../seats/labels";
import { QrCode } from "./qr";

interface TicketCardProps {
  showtimeId: string;
  screening: Schemas["BookingScreening"] | null;
  seat: Schemas["BookingSeat"];
  ticketType: string;
  qr: string;
  /** Above the seat; the film's title without it. */
  head?: ReactNode;
  price?: string | undefined;
  reference?: string | null;
}

/** The head of a ticket and its code, to show at the door. */
export function TicketCard({ showtimeId, screening, seat, ticketType, qr, head, price, reference }: TicketCardProps) {
  return (
    <>
      <div className="ticket-head">
        <Poster showtimeId={showtimeId} />
        <p className="relative text-sm">{head ?? <bdi>{screening?.movie_title}</bdi>}</p>
        <p className="relative text-2xl font-bold">{place(seat)}</p>
        <p className="relative first-letter:uppercase">
          {named("category", seat.category)} · {named("ticket", ticketType)}
          {price && <> · {price}</>}
        </p>
        {screening && (
          <p className="relative mt-1 hidden text-sm print:block">
            <bdi>{screening.movie_title}</bdi>, {longDay(screening.starts_at, screening.time_zone)},{" "}
            {clock(screening.starts_at, screening.time_zone)}, <bdi>{screening.auditorium_name}</bdi>
            {reference && <>, {reference}</>}
          </p>
        )}
      </div>
      <QrCode
        className="m-5 w-[calc(100%-2.5rem)] max-w-72 justify-self-center"
        text={qr}
        label={t("tickets.qr", { seat: place(seat) })}
      />
    </>
  );
}

/** The film's poster out of focus: the ticket has its colours. */
export function Poster({ showtimeId }: { showtimeId: string }) {
  const showtime = useQuery(showtimeQuery(showtimeId));
  const movie = useQuery({ ...movieQuery(showtime.data?.movie_id ?? ""), enabled: Boolean(showtime.data) });
  return movie.data ? <img src={movie.data.poster_url} alt="" /> : null;
}
