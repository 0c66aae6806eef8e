"""The merge without I/O: whatever the order and however often, the map is the same."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts import topology
from contracts.booking import BookingPaid, RefundRequested
from contracts.envelope import Event
from contracts.inventory import HoldChanged, SeatsBlocked, SeatsHeld, SeatsReleased, SeatsSold, SeatsUnblocked
from contracts.realtime import SeatsLookedAt
from contracts.types import Holder, Seat
from hypothesis import given
from hypothesis import strategies as st
from realtime.model import News, SeatMap, booking_update, news_of, seats_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROW = [f"A{number}" for number in range(1, 7)]


def held(hold: str, *seats: str, minutes: float = 8) -> SeatsHeld:
    return SeatsHeld(
        hold_id=hold,
        showtime_id="s1",
        seats=[Seat(seat_id=seat, row="A", number=int(seat[1:]), category="standard") for seat in seats],
        holder=Holder(user_id="u1"),
        expires_at=NOW + timedelta(minutes=minutes),
    )


def changed(hold: str, revision: int, *seats: str) -> HoldChanged:
    fields = held(hold, *seats).model_dump(exclude={"holder"})
    return HoldChanged(**fields, revision=revision, added=[], dropped=[])


def sold(hold: str, *seats: str) -> SeatsSold:
    return SeatsSold(hold_id=hold, showtime_id="s1", seats=list(seats))


def released(hold: str, reason: str, *seats: str) -> SeatsReleased:
    return SeatsReleased.model_validate({"hold_id": hold, "showtime_id": "s1", "seats": list(seats), "reason": reason})


def blocked(block: str, *seats: str) -> SeatsBlocked:
    return SeatsBlocked(showtime_id="s1", block_id=block, seats=list(seats), reason="broken")


def unblocked(block: str, *seats: str) -> SeatsUnblocked:
    return SeatsUnblocked(showtime_id="s1", block_id=block, seats=list(seats))


def told(*events: Event) -> list[News]:
    """The events as one source says them: a second apart, versions counting up."""
    return [news_of(event, version=n, said_at=NOW + timedelta(seconds=n)) for n, event in enumerate(events, 1)]


def state_after(news: list[News]) -> dict:
    seat_map = SeatMap("s1")
    for one in news:
        seat_map.learn(one)
    return seats_of(seat_map.claims)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([held("h", "A1", "A2")], {"A1": "held", "A2": "held"}),
        ([held("h", "A1", "A2"), changed("h", 1, "A2", "A3")], {"A2": "held", "A3": "held"}),
        ([held("h", "A1"), changed("h", 1, "A2"), changed("h", 2, "A3")], {"A3": "held"}),
        ([held("h", "A1"), released("h", "released", "A1")], {}),
        ([held("h", "A1"), sold("h", "A1")], {"A1": "sold"}),
        ([held("h", "A1"), sold("h", "A1"), released("h", "cancelled", "A1")], {}),
        ([held("h", "A1"), released("h", "lapsed", "A1"), sold("h", "A1")], {"A1": "sold"}),
        ([held("h", "A1"), released("h", "cancelled", "A1"), sold("h", "A1")], {"A1": "sold"}),
        (
            [held("h", "A1"), released("h", "lapsed", "A1"), sold("h", "A1"), released("h", "cancelled", "A1")],
            {},
        ),
        ([held("h", "A1"), released("h", "lapsed", "A1"), held("i", "A1")], {"A1": "held"}),
        ([blocked("b", "A1", "A2"), unblocked("b", "A1")], {"A2": "blocked"}),
        ([blocked("b", "A1"), unblocked("b", "A1"), blocked("c", "A1")], {"A1": "blocked"}),
    ],
)
@given(random=st.randoms(use_true_random=False))
def test_a_history_gives_one_state_in_every_order(events, state, random):
    news = told(*events)
    assert state_after(news) == state
    shuffled = news * 2
    random.shuffle(shuffled)
    assert state_after(shuffled) == state


def life_of_a_hold(hold: str, seats: list[str], ending: list[str]) -> list[Event]:
    """A legal life: held, changed, then its endings one after the other."""
    life: list[Event] = [held(hold, *seats), changed(hold, 1, *seats[:-1], "A1")]
    return life + [sold(hold, *seats) if end == "sold" else released(hold, end, *seats) for end in ending]


ENDINGS = [[], ["released"], ["lapsed"], ["lapsed", "sold"], ["sold"], ["sold", "cancelled"], ["cancelled", "sold"]]
seats_strategy = st.lists(st.sampled_from(ROW), min_size=1, max_size=4, unique=True)
lives = st.lists(st.tuples(seats_strategy, st.sampled_from(ENDINGS)), min_size=1, max_size=5)


@given(lives=lives, random=st.randoms(use_true_random=False))
def test_interleaved_repeated_and_disordered_events_give_the_same_map(lives, random):
    told_in_order = [told(*life_of_a_hold(f"h{n}", *life)) for n, life in enumerate(lives)]
    in_order = [news for life in told_in_order for news in life]
    disordered = in_order + random.choices(in_order, k=len(in_order))
    random.shuffle(disordered)
    first, second = SeatMap("s1"), SeatMap("s1")
    for news in in_order:
        first.learn(news)
    for news in disordered:
        second.learn(news)
    assert second.snapshot() == first.snapshot()


@given(lives=lives, random=st.randoms(use_true_random=False))
def test_a_client_that_follows_the_messages_ends_with_the_snapshot(lives, random):
    news = [one for n, life in enumerate(lives) for one in told(*life_of_a_hold(f"h{n}", *life))]
    random.shuffle(news)
    server, client = SeatMap("s1"), {}
    for one in news:
        server.learn(one)
        for message in server.unsaid():
            state = {"seat:book": "sold", "seat:release": None}.get(message["type"], message.get("state"))
            for seat in message["seats"]:
                client[seat] = state
                if state is None:
                    del client[seat]
    assert client == server.snapshot()["seats"]


def test_an_event_sent_again_by_the_sweeper_with_a_later_version_does_not_end_a_late_sale():
    cancelled, sale = told(released("h", "cancelled", "A1"), sold("h", "A1"))
    swept = news_of(released("h", "cancelled", "A1"), version=99, said_at=NOW + timedelta(seconds=1))
    assert state_after([cancelled, sale, swept]) == {"A1": "sold"}


def after(seat_map: SeatMap, *news: News) -> list[dict]:
    """What clients are told of news, one after the other within one burst."""
    for one in news:
        seat_map.learn(one)
    return seat_map.unsaid()


def test_only_changes_are_told_and_each_message_says_which_one_it_follows():
    seat_map = SeatMap("s1", seat_ids={"A1", "A2", "A3"})
    (hold, change, sale) = told(held("h", "A1", "A2"), changed("h", 1, "A2", "A3"), sold("h", "A2", "A3"))
    base = {"showtime_id": "s1"}
    assert after(seat_map, hold) == [
        base | {"type": "seat:lock", "since": 0, "version": 1, "seats": ["A1", "A2"], "state": "held"}
    ]
    assert after(seat_map, hold) == []
    assert after(seat_map, News("s1", version=2)) == []
    assert after(seat_map, change) == [
        base | {"type": "seat:release", "since": 1, "version": 2, "seats": ["A1"]},
        base | {"type": "seat:lock", "since": 2, "version": 2, "seats": ["A3"], "state": "held"},
    ]
    assert after(seat_map, sale) == [base | {"type": "seat:book", "since": 2, "version": 3, "seats": ["A2", "A3"]}]
    assert seat_map.snapshot() == base | {
        "type": "showtime:update",
        "version": 3,
        "cancelled": False,
        "capacity": 3,
        "seats": {"A2": "sold", "A3": "sold"},
    }


def test_of_a_burst_only_the_outcome_is_told():
    (message,) = after(SeatMap("s1"), *told(held("h", "A1", "A2"), changed("h", 1, "A2"), sold("h", "A2")))
    assert (message["type"], message["seats"], message["since"], message["version"]) == ("seat:book", ["A2"], 0, 3)
    assert after(SeatMap("s1"), *told(held("h", "A1"), released("h", "released", "A1"))) == []


def test_a_cancelled_showtime_is_told_once():
    seat_map = SeatMap("s1")
    (message,) = after(seat_map, News("s1", cancelled=True))
    assert message["cancelled"]
    assert after(seat_map, News("s1", cancelled=True)) == []


def test_holds_long_over_are_forgotten_and_sales_are_not():
    seat_map = SeatMap("s1")
    events = [
        held("gone", "A1"),
        released("gone", "lapsed", "A1"),
        held("silent", "A2"),
        held("bought", "A3"),
        sold("bought", "A3"),
        released("bought", "cancelled", "A3"),
        blocked("b", "A4"),
        unblocked("b", "A4"),
    ]
    for news in told(*events):
        seat_map.learn(news)
    seat_map.forget(NOW + timedelta(minutes=59))
    assert set(seat_map.claims) == {"gone", "silent", "bought", "b:A4"}
    seat_map.forget(NOW + timedelta(hours=2, minutes=9))
    assert set(seat_map.claims) == {"bought", "b:A4"}
    seat_map.unsaid()
    assert after(seat_map, told(sold("bought", "A3"))[0]) == []


def test_every_watched_event_becomes_a_message():
    about_seats = {*topology.SEAT_EVENTS, topology.ShowtimeCancelled}
    assert set(topology.SHOWN["realtime"]) == about_seats | set(topology.BOOKING_STATES) | {SeatsLookedAt}
    paid = BookingPaid(booking_id="b1", showtime_id="s1", seats=["A1"], holder=Holder(secret_hash="ab"))
    assert booking_update(paid, version=4) == {
        "type": "booking:update",
        "booking_id": "b1",
        "state": "confirming",
        "version": 4,
    }


def test_other_events_are_refused():
    refund = RefundRequested(booking_id="b", refund_id="r", amount=1, currency="EUR", reason="cancelled")
    with pytest.raises(TypeError):
        news_of(refund, version=1, said_at=NOW)
    with pytest.raises(TypeError):
        booking_update(refund, version=1)
