"""A booking as a calendar file: the same event as the file in the mails about it, which has the same UID."""

from chassis.calendars import CalendarFile, Occasion, Organizer, calendar_file
from contracts.types import clean_name

from booking import settings
from booking.documents.languages import locale_of, place, texts_of
from booking.model import Booking, State


def booking_calendar(booking: Booking) -> CalendarFile:
    """Return the file of a booking that has tickets, or had them: then it removes the event.

    Its link has no key: calendars are shared and synchronized.
    """
    assert booking.screening is not None  # noqa: S101 - bookings with documents have one
    screening, texts = booking.screening, texts_of(locale_of(booking))
    is_cancelled, site = booking.state is not State.CONFIRMED, settings.get().public_url.rstrip("/")
    where = (screening.theater_name, screening.auditorium_name, screening.address)
    reference = [f"{texts['reference']}: {booking.reference}"] if booking.reference else []
    seats = [place(line.seat, texts) for line in booking.kept_lines or booking.lines]
    occasion = Occasion(
        uid=f"{booking.calendar_id or booking.id}@usher",
        sequence=booking.moves + is_cancelled,
        starts_at=screening.starts_at,
        ends_at=screening.ends_at,
        summary=clean_name(screening.movie_title),
        location=", ".join(clean_name(part) for part in where if part),
        description="\n".join([*reference, *seats]),
        url=f"{site}/{booking.page}",
        organizer=Organizer(clean_name(screening.theater_name), site),
    )
    return calendar_file(occasion, is_cancelled=is_cancelled)
