"""Unit tests of the rules; no I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.catalog import PlacedSeat
from contracts.types import Holder
from hypothesis import given
from hypothesis import strategies as st
from inventory.model import (
    MAX_SEATS,
    AuditoriumMap,
    Hold,
    HoldInCheckout,
    HoldLapsed,
    HoldLimits,
    Limit,
    NetworkIsFull,
    RenewalUsedUp,
    SaleDecision,
    SalesClosed,
    SeatCountWrong,
    SeatEntry,
    Seating,
    SeatsTaken,
    SeatsUnknown,
    TooManyHolds,
    check_changeable,
    in_order,
    renewed_deadline,
    seat_change,
    validate_seats,
)

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMITS = HoldLimits(
    hold=timedelta(seconds=480),
    cap=timedelta(seconds=900),
    renewals=1,
    per_holder=Limit(2, 20, TooManyHolds),
    per_network=Limit(4, 40, NetworkIsFull),
)
ANNA = Holder(user_id="anna")
HALL = AuditoriumMap.from_layout(
    [
        PlacedSeat(seat_id=f"{row}{n}", row=row, number=n, category="standard", area="Circle", x=n, y=y)
        for y, row in enumerate("ABC")
        for n in range(1, 11)
    ],
    None,
)

seat_ids = st.builds("{}{}".format, st.sampled_from(["A", "B", "F", "AA"]), st.integers(1, 12))
seat_sets = st.sets(seat_ids, min_size=1, max_size=MAX_SEATS)


def a_hold(*seats: str, hold_id: str = "h1", until: datetime = NOW + LIMITS.hold, **fields) -> Hold:
    defaults = {"holder": ANNA, "cap_at": NOW + LIMITS.cap}
    return Hold(id=hold_id, seats=in_order(seats), expires_at=until, **(defaults | fields))


def seating(*holds: Hold, taken: dict[str, SeatEntry] | None = None, **fields: Any) -> Seating:
    held = {seat: SeatEntry(by=hold.id, state="held", until=hold.expires_at) for hold in holds for seat in hold.seats}
    times: dict[str, Any] = {"sales_open_at": NOW - 60 * SECOND, "sales_close_at": NOW + 60 * SECOND}
    return Seating(**(times | fields), holds=list(holds), taken=held | (taken or {}))


def sold_to(booking_id: str, *seats: str) -> dict[str, SeatEntry]:
    return {seat: SeatEntry(by=booking_id, state="sold") for seat in seats}


class TestFree:
    def test_a_seat_that_nobody_has_is_free(self):
        assert seating().unavailable(["A1"], NOW) == []

    @pytest.mark.parametrize("early, lost", [(SECOND, ["A1"]), (0 * SECOND, []), (-SECOND, [])])
    def test_a_held_seat_is_free_from_its_deadline_on(self, early, lost):
        assert seating(a_hold("A1", until=NOW + early)).unavailable(["A1"], NOW) == lost

    @pytest.mark.parametrize("state", ["sold", "blocked"])
    def test_sold_and_blocked_seats_never_expire(self, state):
        far = NOW + timedelta(days=3650)
        assert seating(taken={"A1": SeatEntry(by="x", state=state)}).unavailable(["A1", "A2"], far) == ["A1"]

    def test_the_owners_seats_are_available(self):
        assert seating(a_hold("A1")).unavailable(["A1"], NOW, "h1") == []

    @given(mine=seat_sets, theirs=seat_sets)
    def test_lost_is_what_somebody_else_has(self, mine, theirs):
        assert set(seating(a_hold(*theirs)).unavailable(mine, NOW)) == mine & theirs


class TestWhyNot:
    def test_nothing_is_in_the_way(self):
        showtime = seating()
        assert showtime.sales_problem(NOW) is None
        assert showtime.taken_problem(["A1"], HALL, NOW) is None

    def test_names_just_the_lost_seats_in_order(self):
        problem = seating(a_hold("B10", "B2", "C1")).taken_problem(["B10", "A1", "B2"], HALL, NOW)
        assert isinstance(problem, SeatsTaken)
        assert problem.members == {"seats": ["B2", "B10"]}
        assert problem.detail == "Already taken: Circle B2, Circle B10."

    @pytest.mark.parametrize(
        "fields, reason",
        [
            ({"cancelled": True}, "cancelled"),
            ({"sales_open_at": NOW + SECOND}, "not_open"),
            ({"sales_close_at": NOW}, "closed"),
        ],
    )
    def test_says_why_nothing_is_sold(self, fields: dict[str, Any], reason: str):
        problem = seating(**fields).sales_problem(NOW)
        assert isinstance(problem, SalesClosed)
        assert problem.members == {"reason": reason}


class TestChange:
    def test_adds_and_drops(self):
        change = seat_change(a_hold("A1", "A2"), ["A10"], ["A1"])
        assert (change.seats, change.added, change.dropped) == (["A2", "A10"], ["A10"], ["A1"])

    @given(before=seat_sets, add=seat_sets, drop=seat_sets)
    def test_what_it_says_is_what_it_does_and_repeating_it_changes_nothing(self, before, add, drop):
        add -= drop
        try:
            change = seat_change(a_hold(*before), add, drop)
        except SeatCountWrong:
            assert not 1 <= len((before | add) - drop) <= MAX_SEATS
            return
        assert (before | set(change.added)) - set(change.dropped) == set(change.seats)
        assert not set(change.added) & before
        assert set(change.dropped) <= before
        again = seat_change(a_hold(*change.seats), add, drop)
        assert (again.seats, again.added, again.dropped) == (change.seats, [], [])

    @pytest.mark.parametrize("add, drop", [([], ["A1", "A2"]), ([f"B{n}" for n in range(1, 10)], [])])
    def test_a_hold_keeps_one_to_ten_seats(self, add, drop):
        with pytest.raises(SeatCountWrong):
            seat_change(a_hold("A1", "A2"), add, drop)

    def test_a_checkout_and_the_deadline_end_all_change(self):
        check_changeable(a_hold("A1"), NOW)
        with pytest.raises(HoldInCheckout):
            check_changeable(a_hold("A1", pinned=True), NOW)
        with pytest.raises(HoldLapsed):
            check_changeable(a_hold("A1", until=NOW), NOW)


class TestRenewal:
    def test_restarts_the_time(self):
        later = NOW + 400 * SECOND
        assert renewed_deadline(a_hold("A1"), later, LIMITS) == later + LIMITS.hold

    def test_ends_at_the_cap(self):
        assert renewed_deadline(a_hold("A1"), NOW + 470 * SECOND, LIMITS) == NOW + LIMITS.cap

    def test_once_only(self):
        with pytest.raises(RenewalUsedUp):
            renewed_deadline(a_hold("A1", renewals=1), NOW + SECOND, LIMITS)

    def test_never_takes_time_away(self):
        with pytest.raises(RenewalUsedUp):
            renewed_deadline(a_hold("A1", until=NOW + LIMITS.cap), NOW, LIMITS)


class TestSale:
    def test_a_hold_becomes_a_sale(self):
        assert seating(a_hold("A1", "A2")).decide_sale("h1", ["A1", "A2"], NOW) == SaleDecision(lost=[], to_release=[])

    def test_a_late_payment_buys_seats_that_are_still_free(self):
        expired_of_another = a_hold("A1", hold_id="h2", until=NOW)
        assert seating(expired_of_another).decide_sale("h1", ["A1", "A2"], NOW) == SaleDecision(lost=[], to_release=[])

    def test_a_lost_seat_loses_them_all_and_releases_the_rest(self):
        mine, theirs = a_hold("A1", "A2", until=NOW), a_hold("A2", hold_id="h2")
        assert seating(mine, theirs).decide_sale("h1", ["A1", "A2"], NOW) == SaleDecision(
            lost=["A2"], to_release=["A1"]
        )

    def test_a_blocked_seat_is_lost(self):
        blocked = {"A1": SeatEntry(by="b", state="blocked")}
        assert seating(taken=blocked).decide_sale("h1", ["A1"], NOW) == SaleDecision(lost=["A1"], to_release=[])

    def test_seats_that_the_booking_did_not_buy_come_back(self):
        assert seating(a_hold("A1", "A2")).decide_sale("h1", ["A2", "A3"], NOW) == SaleDecision(
            lost=[], to_release=["A1"]
        )

    def test_a_booking_that_has_its_seats_gets_no_others(self):
        assert seating(taken=sold_to("h1", "A1")).decide_sale("h1", ["A1"], NOW) is None

    def test_a_booking_that_has_ended_loses_all_each_time(self):
        assert seating(ended=["h1"]).decide_sale("h1", ["A1", "A2"], NOW) == SaleDecision(
            lost=["A1", "A2"], to_release=[]
        )

    def test_a_late_payment_buys_for_a_checkout_that_was_closed(self):
        assert seating(closed=["h1"]).decide_sale("h1", ["A1"], NOW) == SaleDecision(lost=[], to_release=[])

    def test_a_cancelled_showtime_sells_nothing(self):
        assert seating(a_hold("A1"), cancelled=True).decide_sale("h1", ["A1"], NOW) == SaleDecision(
            lost=["A1"], to_release=["A1"]
        )

    @given(mine=seat_sets, asked=seat_sets, theirs=seat_sets)
    def test_sells_all_or_releases_all(self, mine, asked, theirs):
        showtime = seating(a_hold(*mine), a_hold(*theirs, hold_id="h2"))
        mine -= theirs
        sale = showtime.decide_sale("h1", asked, NOW)
        assert sale is not None
        assert set(sale.lost) == asked & theirs
        assert set(sale.to_release) == (mine if sale.lost else mine - asked)


def pin_failure(showtime: Seating, *seats: str, has_lapsed: bool = False) -> str | None:
    return showtime.pin_failure(a_hold(*seats), NOW, has_lapsed=has_lapsed)


class TestPin:
    @pytest.mark.parametrize("until", [NOW + SECOND, NOW - SECOND])
    def test_a_hold_that_still_has_its_seats_can_be_kept(self, until):
        assert pin_failure(seating(a_hold("A1", "A2", until=until)), "A1", "A2") is None

    def test_seats_that_others_took_are_gone(self):
        expired, next_one = a_hold("A1", "A2", until=NOW), a_hold("A2", hold_id="h2")
        assert pin_failure(seating(expired, next_one), "A1", "A2") == "lapsed"

    def test_other_seats_than_those_to_be_paid(self):
        assert pin_failure(seating(a_hold("A1", "A2")), "A1") == "mismatch"

    def test_a_hold_that_lapsed_can_be_kept_while_its_seats_are_free(self):
        others = seating(a_hold("A2", hold_id="h2"))
        assert pin_failure(others, "A1", has_lapsed=True) is None
        assert pin_failure(others, "A1", "A2", has_lapsed=True) == "lapsed"
        assert pin_failure(others, "A1") == "lapsed", "its holder has released it"

    @pytest.mark.parametrize(
        "other, failure",
        [({}, "lapsed"), ({"until": NOW}, None), ({"keys": ["user:ben"]}, None), ({"pinned": False}, None)],
    )
    def test_a_holder_has_one_unpaid_checkout_at_a_time(self, other: dict[str, Any], failure: str | None):
        first = a_hold("B1", hold_id="h2", **({"pinned": True, "keys": ["user:anna"]} | other))
        assert pin_failure(seating(first, a_hold("A1")), "A1") == failure

    def test_a_cancelled_showtime_keeps_nothing(self):
        assert pin_failure(seating(a_hold("A1"), cancelled=True), "A1") == "lapsed"

    def test_a_checkout_is_settled_when_it_is_sold_closed_or_ended(self):
        assert not seating(a_hold("A1"), taken=sold_to("h2", "A2")).is_settled("h1")
        assert seating(taken=sold_to("h1", "A1")).is_settled("h1")
        assert seating(closed=["h1"]).is_settled("h1")
        assert seating(ended=["h1"]).is_settled("h1")


class TestSeats:
    def test_order_is_by_row_and_number(self):
        assert in_order(["AA1", "B10", "B9", "A1", "B9"]) == ["A1", "B9", "B10", "AA1"]

    @given(seats=st.lists(seat_ids))
    def test_order_does_not_depend_on_the_asking(self, seats):
        assert in_order(seats) == in_order(reversed(seats))
        assert in_order(in_order(seats)) == in_order(seats)

    def test_unknown_seats_are_named(self):
        with pytest.raises(SeatsUnknown) as error:
            validate_seats(["Z2", "A1", "Z1"], {"A1"})
        assert error.value.members == {"seats": ["Z1", "Z2"]}
