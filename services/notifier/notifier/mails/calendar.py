"""A booking as a calendar file: the same event as the file of the booking's page, which has the same UID.

The SEQUENCE counts the changes of time.
"""

from chassis.calendars import CalendarFile, Occasion, Organizer, calendar_file
from contracts.booking import Screening

from notifier import settings
from notifier.mails.rendering import page_url
from notifier.model import one_line


def booking_calendar(
    calendar_id: str,
    screening: Screening,
    description: str,
    *,
    sequence: int,
    page: str,
    is_cancelled: bool = False,
) -> CalendarFile:
    """Return the file of a booking. Its link has no key: calendars are shared and synchronized.

    `page` is the booking's id. A booking that replaces another has the `calendar_id` of that one.
    """
    place = (screening.theater_name, screening.auditorium_name, screening.address)
    occasion = Occasion(
        uid=f"{calendar_id}@usher",
        sequence=sequence,
        starts_at=screening.starts_at,
        ends_at=screening.ends_at,
        summary=one_line(screening.movie_title),
        location=", ".join(one_line(part) for part in place if part),
        description=description,
        url=page_url(f"bookings/{page}"),
        organizer=Organizer(one_line(screening.theater_name), f"mailto:{settings.get().sender.addr_spec}"),
    )
    return calendar_file(occasion, is_cancelled=is_cancelled)
