"""The seat map without I/O: snapshots heal what lost and reordered changes left behind."""

import pytest
from contracts import topology
from contracts.booking import BookingPaid, RefundRequested
from contracts.catalog import ShowtimeCancelled
from contracts.inventory import SeatsChanged
from contracts.realtime import SeatsLookedAt
from contracts.types import Holder
from hypothesis import given
from hypothesis import strategies as st
from realtime.model import RecentChanges, SeatMap, Snapshot, booking_update

ROW = [f"A{number}" for number in range(1, 7)]
BASE = {"showtime_id": "s1"}
CANCELLED = ShowtimeCancelled(showtime_id="s1", reason="technical")


def changed(version: int, showtime_id: str = "s1", **seats: str) -> SeatsChanged:
    return SeatsChanged.model_validate({"showtime_id": showtime_id, "version": version, "seats": seats})


def snapshot(version: int, **seats: str) -> Snapshot:
    return Snapshot("s1", version, seats)  # pyright: ignore[reportArgumentType]


def seats_of(seat_map: SeatMap) -> dict[str, str]:
    return seat_map.message()["seats"]


def shown(*steps: SeatsChanged | Snapshot) -> dict[str, str]:
    """The seats after these steps on an empty map."""
    seat_map = SeatMap(Snapshot("s1"))
    for step in steps:
        seat_map.replace(step) if isinstance(step, Snapshot) else seat_map.apply(step)
    return seats_of(seat_map)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([changed(1, A1="held", A2="held")], {"A1": "held", "A2": "held"}),
        ([changed(1, A1="held"), changed(2, A1="sold")], {"A1": "sold"}),
        ([changed(1, A1="held"), changed(2, A1="free")], {}),
        ([changed(2, A1="free"), changed(1, A1="held")], {}),
        ([changed(5, A1="sold"), changed(4, A1="held", A2="held")], {"A1": "sold", "A2": "held"}),
        ([changed(3, A1="held"), changed(3, A1="free")], {}),
        ([changed(3, A1="free"), changed(3, A1="blocked")], {"A1": "blocked"}),
        ([snapshot(3, A1="sold"), changed(3, A1="free"), changed(2, A2="held")], {"A1": "sold"}),
        ([snapshot(3, A1="sold"), changed(4, A1="free")], {}),
        ([changed(4, A1="free", A2="held"), snapshot(3, A1="held")], {"A2": "held"}),
        ([changed(4, A1="held", A2="held"), snapshot(4, A1="sold")], {"A1": "sold"}),
        ([snapshot(5, A1="sold"), snapshot(4, A2="sold")], {"A1": "sold"}),
        ([snapshot(5, A1="sold"), changed(6, A1="free"), snapshot(5, A1="sold")], {}),
        ([changed(6, A1="held"), snapshot(4), snapshot(5, A2="sold")], {"A1": "held", "A2": "sold"}),
    ],
    ids=str,
)
def test_the_latest_version_of_a_seat_is_shown(steps, state):
    assert shown(*steps) == state


STATES = ["free", "held", "sold", "blocked"]
true_states = st.dictionaries(st.sampled_from(ROW), st.sampled_from(STATES), min_size=1, max_size=4)
histories = st.lists(true_states, min_size=1, max_size=8)


def life(history: list[dict[str, str]]) -> list[Snapshot]:
    """A showtime's snapshots at each version; the history says what every version changes."""
    seats: dict[str, str] = {}
    snapshots = [snapshot(0)]
    for version, change in enumerate(history, 1):
        seats = {seat: state for seat, state in (seats | change).items() if state != "free"}
        snapshots.append(snapshot(version, **seats))
    return snapshots


@given(history=histories, data=st.data())
def test_whatever_is_lost_repeated_or_reordered_the_last_snapshot_heals_it(history, data):
    """A change's version is read after it, so it may be later than the change; two replicas read it apart."""
    snapshots = life(history)
    changes = [
        changed(data.draw(st.integers(version, len(history)), label="version read"), **change)
        for version, change in enumerate(history, 1)
    ]
    steps = data.draw(st.lists(st.sampled_from([*changes, *snapshots]), max_size=20), label="what arrives")
    final = snapshots[-1]
    assert shown(*steps, final) == final.seats
    assert shown(final, *steps) == final.seats, "nothing that arrives late changes what a later snapshot says"


@given(history=histories, data=st.data())
def test_changes_in_order_show_the_truth_at_once_on_a_snapshot_of_any_age(history, data):
    snapshots = life(history)
    seat_map = SeatMap(data.draw(st.sampled_from(snapshots)))
    for version, change in enumerate(history, 1):
        seat_map.apply(changed(version, **change))
        seat_map.replace(data.draw(st.sampled_from(snapshots[: version + 1])))
    assert seats_of(seat_map) == snapshots[-1].seats


@given(history=histories, data=st.data())
def test_a_client_that_follows_the_messages_ends_with_the_whole_state(history, data):
    changes = [changed(version, **change) for version, change in enumerate(history, 1)]
    steps = data.draw(st.permutations(changes + life(history)))
    server, client, version = SeatMap(Snapshot("s1")), {}, 0
    for step in steps:
        server.replace(step) if isinstance(step, Snapshot) else server.apply(step)
        for message in server.unsent() if data.draw(st.booleans()) else []:
            assert message["since"] <= version <= message["version"], "this is how a client sees that it missed none"
            version = message["version"]
            state = {"seat:book": "sold", "seat:release": None}.get(message["type"], message.get("state"))
            for seat in message["seats"]:
                assert client.get(seat) != state, "only changes are sent"
                client[seat] = state
    for message in server.unsent():
        state = {"seat:book": "sold", "seat:release": None}.get(message["type"], message.get("state"))
        client.update(dict.fromkeys(message["seats"], state))
    assert {seat: state for seat, state in client.items() if state} == seats_of(server)


def after(seat_map: SeatMap, *changes: SeatsChanged | ShowtimeCancelled) -> list[dict]:
    """What clients are sent after changes that come in one burst."""
    for one in changes:
        seat_map.apply(one)
    return seat_map.unsent()


def test_only_changes_are_sent_and_each_message_says_which_one_it_follows():
    seat_map = SeatMap(Snapshot("s1"), seat_ids={"A1", "A2", "A3"})
    hold = changed(1, A1="held", A2="held")
    assert after(seat_map, hold) == [
        BASE | {"type": "seat:lock", "since": 0, "version": 1, "seats": ["A1", "A2"], "state": "held"}
    ]
    assert after(seat_map, hold) == []
    assert after(seat_map, changed(2, A1="held")) == []
    assert after(seat_map, changed(3, A1="free", A3="held")) == [
        BASE | {"type": "seat:release", "since": 1, "version": 3, "seats": ["A1"]},
        BASE | {"type": "seat:lock", "since": 3, "version": 3, "seats": ["A3"], "state": "held"},
    ]
    assert after(seat_map, changed(4, A2="sold", A3="sold", A1="blocked")) == [
        BASE | {"type": "seat:lock", "since": 3, "version": 4, "seats": ["A1"], "state": "blocked"},
        BASE | {"type": "seat:book", "since": 4, "version": 4, "seats": ["A2", "A3"]},
    ]
    assert seat_map.message() == BASE | {
        "type": "showtime:update",
        "version": 4,
        "cancelled": False,
        "capacity": 3,
        "seats": {"A1": "blocked", "A2": "sold", "A3": "sold"},
    }


def test_of_a_burst_only_the_outcome_is_sent():
    hold, sale = changed(1, A1="held", A2="held"), changed(3, A1="free", A2="sold")
    (message,) = after(SeatMap(Snapshot("s1")), hold, sale)
    assert (message["type"], message["seats"], message["since"], message["version"]) == ("seat:book", ["A2"], 0, 3)
    assert after(SeatMap(Snapshot("s1")), changed(1, A1="held"), changed(2, A1="free")) == []


def test_a_snapshot_sends_only_what_differs_from_what_is_shown():
    seat_map = SeatMap(snapshot(3, A1="held"))
    seat_map.apply(changed(4, A2="held"))
    seat_map.unsent()
    seat_map.replace(snapshot(6, A1="sold", A2="held"))
    assert seat_map.unsent() == [BASE | {"type": "seat:book", "since": 4, "version": 6, "seats": ["A1"]}]
    seat_map.replace(snapshot(7, A1="sold", A2="held"))
    assert seat_map.unsent() == []


def test_a_cancelled_showtime_is_sent_once_from_any_source():
    seat_map = SeatMap(snapshot(3, A1="held"))
    (message,) = after(seat_map, CANCELLED, changed(4, A1="free"))
    assert (message["cancelled"], message["version"], message["seats"]) == (True, 4, {})
    seat_map.replace(Snapshot("s1", 5, is_cancelled=True))
    assert after(seat_map, CANCELLED) == []
    healed = SeatMap(snapshot(3, A1="held"))
    healed.replace(Snapshot("s1", 3, is_cancelled=True))
    (message,) = healed.unsent()
    assert (message["cancelled"], message["seats"]) == (True, {"A1": "held"})


def test_recent_changes_are_kept_by_showtime_until_others_take_their_place():
    recent = RecentChanges(3)
    first, other, second, cancelled = changed(1), changed(1, "s2"), changed(2), CANCELLED
    for change in (first, other, second):
        recent.add(change)
    assert recent.of("s1") == [first, second]
    recent.add(cancelled)
    assert recent.of("s1") == [second, cancelled]


def test_every_watched_event_becomes_a_message():
    about_seats = {SeatsChanged, ShowtimeCancelled}
    assert set(topology.DISPLAYED["realtime"]) == about_seats | set(topology.BOOKING_STATES) | {SeatsLookedAt}
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
        booking_update(refund, version=1)
