import { useState } from "react";
import { t, tn } from "../i18n";
import { money } from "../lib/format";
import { names } from "../seats/labels";
import { Button, ButtonLink } from "../ui/Button";
import { Documents } from "./Documents";
import { QrCode } from "./qr";
import type { Booking } from "./queries";
import { Poster, TicketCard } from "./TicketCard";
import { useAwake } from "./useAwake";

/** The tickets of a confirmed booking, to show at the door, and their documents. */
export default function Tickets({ booking, isKept = false }: { booking: Booking; isKept?: boolean }) {
  useAwake();
  const [isWanted, setWanted] = useState(false);
  const isParty = isWanted && Boolean(booking.party_qr);
  const tickets = booking.tickets.filter(({ qr }) => qr);
  const count = tickets.length;
  const seats = names(tickets.map((ticket) => ticket.seat));
  return (
    <div className="grid gap-6">
      {booking.party_qr && (
        <div className="no-print">
          <Button look="plain" aria-pressed={isParty} onClick={() => setWanted(!isParty)}>
            {t("tickets.party", { count })}
          </Button>
        </div>
      )}
      {booking.party_qr && isParty && <Party booking={booking} code={booking.party_qr} count={count} seats={seats} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls a row of tickets */}
      <section aria-label={t("checkout.tickets")} tabIndex={0} className="ticket-row" hidden={isParty || !count}>
        <ul className="flex gap-4 sm:grid sm:grid-cols-2 print:grid">
          {tickets.map((ticket, index) => (
            <li key={ticket.ticket_id} className={`card ticket ${count > 1 ? "max-sm:w-[90%]" : "max-sm:w-full"}`}>
              <TicketCard
                showtimeId={booking.showtime_id}
                screening={booking.screening}
                seat={ticket.seat}
                ticketType={ticket.ticket_type}
                qr={ticket.qr ?? ""}
                head={count > 1 ? t("tickets.nth", { n: index + 1, count }) : undefined}
                price={booking.currency ? money(ticket.amount, booking.currency) : undefined}
                reference={booking.reference}
              />
            </li>
          ))}
        </ul>
      </section>
      {count > 0 && <p className="no-print text-sm text-quiet">{tn("tickets.door", isParty ? 1 : count)}</p>}
      <Documents booking={isKept ? { ...booking, documents: [] } : booking}>
        <Button look="plain" onClick={() => print()}>
          {t("tickets.print")}
        </Button>
      </Documents>
      <div className="no-print">
        <ButtonLink look="quiet" to="/">
          {t("tickets.more")}
        </ButtonLink>
      </div>
    </div>
  );
}

interface PartyProps {
  booking: Booking;
  code: string;
  /** How many tickets are valid. */
  count: number;
  seats: string;
}

/** One code for all tickets: the door reads it once for the whole party. */
function Party({ booking, code, count, seats }: PartyProps) {
  return (
    <section aria-label={t("tickets.partyTitle")} className="card ticket mx-auto w-full max-w-md">
      <div className="ticket-head">
        <Poster showtimeId={booking.showtime_id} />
        <p className="relative text-sm">{booking.screening?.movie_title}</p>
        <p className="relative text-2xl font-bold">{tn("tickets.admits", count)}</p>
        <p className="relative">{seats}</p>
      </div>
      <QrCode
        className="m-5 w-[calc(100%-2.5rem)] max-w-80 justify-self-center"
        text={code}
        label={t("tickets.partyQr", { seats })}
      />
    </section>
  );
}
