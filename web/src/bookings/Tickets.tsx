import { named, t, tn } from "../i18n";
import { clock, list, longDay, money } from "../lib/format";
import { saveFile } from "../lib/save";
import { place } from "../seats/labels";
import { Button, ButtonLink } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { calendar } from "./calendar";
import { QrCode } from "./qr";
import type { Booking } from "./queries";

/** The tickets of a confirmed booking, to show at the door, print or add to a calendar. */
export default function Tickets({ booking }: { booking: Booking }) {
  const seats = list(booking.tickets.map((ticket) => ticket.seat.seat_id));
  return (
    <div className="grid gap-6">
      {booking.email && (
        <div className="no-print">
          <Notice kind="good">{t("tickets.mailed", { email: booking.email })}</Notice>
        </div>
      )}
      <div className="no-print flex flex-wrap gap-3">
        <Button look="plain" onClick={() => saveCalendar(booking, seats)}>
          {t("tickets.calendar")}
        </Button>
        <Button look="plain" onClick={() => print()}>
          {t("tickets.print")}
        </Button>
      </div>
      <ul className="grid gap-4 sm:grid-cols-2">
        {booking.tickets.map((ticket) => (
          <li key={ticket.ticket_id} className="card grid break-inside-avoid justify-items-center gap-4 p-5">
            <div className="w-full">
              <p className="text-xl font-bold">{place(ticket.seat)}</p>
              <p className="text-quiet first-letter:uppercase">
                {named("category", ticket.seat.category)} · {named("ticket", ticket.ticket_type)}
                {booking.currency && <> · {money(ticket.amount, booking.currency)}</>}
              </p>
              {booking.screening && (
                <p className="mt-1 hidden text-sm print:block">
                  {booking.screening.movie_title}, {longDay(booking.screening.starts_at, booking.screening.time_zone)},{" "}
                  {clock(booking.screening.starts_at, booking.screening.time_zone)}, {booking.screening.auditorium_name}
                  , {booking.reference}
                </p>
              )}
            </div>
            <QrCode
              className="w-full max-w-72"
              text={ticket.qr}
              label={t("tickets.qr", { seat: place(ticket.seat) })}
            />
          </li>
        ))}
      </ul>
      <p className="no-print text-sm text-quiet">{tn("tickets.door", booking.tickets.length)}</p>
      <div className="no-print">
        <ButtonLink look="quiet" to="/">
          {t("tickets.more")}
        </ButtonLink>
      </div>
    </div>
  );
}

function saveCalendar(booking: Booking, seats: string): void {
  const description = `${t("pay.booking")} ${booking.reference}\n${seats}\n${location.href}`;
  const text = calendar(booking, booking.screening?.movie_title ?? "", description, location.origin, new Date());
  if (!text) return;
  saveFile(`usher-${booking.reference}.ics`, "text/calendar", text);
}
