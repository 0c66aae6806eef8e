// A booking as an iCalendar file (RFC 5545). The mails about it carry the same event: same UID, and the same SEQUENCE, which
// counts the changes of time. So a calendar that has both keeps the newest.

import type { Booking } from "./queries";

const MOST_OCTETS = 75;

/** Returns the file's text, or null for a booking without a screening. `site` is the address of this web client. */
export function calendar(
  booking: Booking,
  summary: string,
  description: string,
  site: string,
  now: Date,
): string | null {
  const { screening } = booking;
  if (!screening) return null;
  const place = [screening.theater_name, screening.auditorium_name, screening.address];
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Usher//Tickets//EN",
    "METHOD:PUBLISH",
    "BEGIN:VEVENT",
    `UID:${booking.id}@usher`,
    `SEQUENCE:${booking.moves}`,
    `DTSTAMP:${stamp(now.toISOString())}`,
    `DTSTART:${stamp(screening.starts_at)}`,
    `DTEND:${stamp(screening.ends_at)}`,
    `SUMMARY:${escaped(summary)}`,
    `LOCATION:${escaped(place.filter(Boolean).join(", "))}`,
    `DESCRIPTION:${escaped(description)}`,
    `URL:${site}/bookings/${booking.id}`,
    `ORGANIZER:${site}`,
    "STATUS:CONFIRMED",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    `DESCRIPTION:${escaped(summary)}`,
    "TRIGGER:-PT2H",
    "END:VALARM",
    "END:VEVENT",
    "END:VCALENDAR",
  ];
  return lines.map((line) => `${folded(line)}\r\n`).join("");
}

const stamp = (moment: string) => new Date(moment).toISOString().replaceAll(/[-:]|\.\d+/g, "");

const escaped = (text: string) => text.replaceAll(/[\\;,]/g, (sign) => `\\${sign}`).replaceAll("\n", "\\n");

/** Folds long lines: the next line starts with a space, and no character is split. */
function folded(line: string): string {
  const encoder = new TextEncoder();
  let octets = 0;
  let text = "";
  for (const sign of line) {
    const size = encoder.encode(sign).length;
    if (octets + size > MOST_OCTETS) {
      text += "\r\n ";
      octets = 1;
    }
    text += sign;
    octets += size;
  }
  return text;
}
