"""Whatever seat layout catalog accepts can be sold seat by seat, claimed and printed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from catalog.model import Layout, check_layout, format_layout, parse_layout
from chassis.security.signed import SignedText
from contracts.booking import BookingConfirmed, Screening, Ticket
from contracts.catalog import SeatLayoutPublished
from contracts.claims import HoldClaim
from contracts.types import Holder, Seat, seat_names
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from inventory.model import RESERVED, AuditoriumMap, Party, best_available, check_couches
from notifier.mails.confirmation import confirmation_context
from pydantic import SecretStr

NOW = datetime(2026, 11, 30, 20, tzinfo=UTC)
CLAIMS = SignedText(HoldClaim, HoldClaim.audience, SecretStr("a key for the tests"))
AREAS = ["Stalls", "Circle", "Партер", "יציע", "一階", "Loge (links)", "😀" * 40]
ROWS = ["A", "Z", "AA", "AAA", "1", "2", "10", "Ж", "א", '"Box 3"', '"#1"', "😀" * 12]
cells = st.lists(st.sampled_from(["s", "ss", "ll", "LL", "VV", "SSRR", "wc", "_", "."]), min_size=1, max_size=5).map(
    lambda parts: "s" + "".join(parts)
)
numbers = st.sampled_from(["", "0-{last}", "{count}-1", "12a 12 {from100}"])


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    lines: list[str] = []
    for area in draw(st.lists(st.sampled_from(AREAS), max_size=3, unique=True)) or [None]:
        lines += [f"[{area}]"] if area else []
        for row in draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=4, unique=True)):
            drawn = draw(cells)
            count = sum(cell.isalpha() for cell in drawn)
            known = {"last": count - 1, "count": count, "from100": " ".join(map(str, range(100, 98 + count)))}
            wanted = draw(numbers) if count > 1 else ""
            lines.append(f"{row} {drawn} {wanted.format(**known)}")
    return parse_layout("\n".join(lines))


@pytest.fixture(scope="module", autouse=True)
def notifier_settings() -> Iterator[None]:
    """Notifier's settings, which mails need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINK_KEY", "a link key for the tests")
        yield


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layouts())
@example(parse_layout(f"[{AREAS[-1]}]\n{ROWS[-1]} {'s' * 10} 900-909"))
def test_every_accepted_layout_can_be_sold_claimed_and_printed(layout: Layout):
    assert check_layout(Layout.model_validate_json(layout.model_dump_json())) == layout
    assert parse_layout(format_layout(layout)) == layout
    event = SeatLayoutPublished.model_validate_json(
        SeatLayoutPublished(layout_id="l", auditorium_id="a", **layout.model_dump()).model_dump_json()
    )
    assert event.seats == layout.seats
    room = AuditoriumMap.from_layout(event.seats, event.focal_point)

    left = {seat.seat_id: seat for seat in event.seats}
    while left:
        seat_id = next(iter(left))
        whole = [seat_id, *([room.pairs[seat_id]] if seat_id in room.pairs else [])]
        check_couches(whole, room)
        for half in whole:
            del left[half]

    states: dict = {}
    for size in (2, 1):
        while choice := best_available(room, states, Party(size)):
            check_couches(choice.seats, room)
            states |= dict.fromkeys(choice.seats, "sold")
    assert {seat.seat_id for seat in event.seats if seat.category not in RESERVED} <= states.keys()

    seats = [Seat.model_validate(seat.model_dump()) for seat in event.seats[:10]]
    claim = HoldClaim(
        hold_id="h" * 32, showtime_id="s" * 64, seats=seats, holder=Holder(user_id="u" * 64), revision=1, expires_at=NOW
    )
    assert CLAIMS.read(CLAIMS.sign(claim)) == claim
    mail = confirmation_context(confirmed(seats))
    names = [ticket.place for ticket in mail.tickets]
    assert len(set(names)) == len(seats), "two tickets of one booking have different names"
    for seat, place in zip(seats, names, strict=True):
        assert all(part in place for part in (seat.area or "", seat.row, seat.label))
    assert len(set(seat_names(seats))) == len(seats) or len({seat.area for seat in seats}) > 1
    assert mail.render().text


def confirmed(seats: list[Seat]) -> BookingConfirmed:
    screening = Screening(
        showtime_id="s", movie_title="Metropolis", certificate="12", theater_name="Odeon", auditorium_name="Hall 1",
        format="2D", language="de", starts_at=NOW, ends_at=NOW + timedelta(hours=2), time_zone="Europe/Berlin",
    )  # fmt: skip
    tickets = [
        Ticket(ticket_id=f"b-{seat.seat_id}", seat=seat, ticket_type="adult", amount=1250, qr="text") for seat in seats
    ]
    return BookingConfirmed(
        booking_id="b", reference="K7QF2M", holder=Holder(user_id="u"), email="ada@usher.example", locale="en",
        screening=screening, tickets=tickets, amount=1250 * len(seats), currency="EUR",
    )  # fmt: skip
