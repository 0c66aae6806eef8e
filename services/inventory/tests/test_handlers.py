"""Every event that inventory consumes: in order, repeated, late, out of order and malformed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.booking import BookingSeatsReturned
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentSucceeded
from contracts.topology import CONSUMES
from contracts.types import Holder

from .conftest import Booking, ShowtimeClient, booking, layout, scheduled, wait_for_broadcast, wait_until_pinned


class TestCheckout:
    async def test_pins_the_hold_beyond_the_payment_deadline(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        checkout = booking(bus, showtime, held)
        deadline = now() + timedelta(minutes=10)
        await checkout.request_payment(payment_deadline_at=deadline)
        await wait_until_pinned(held)
        body = (await held.get()).json()
        assert body["expires_at"] == (deadline + timedelta(minutes=20)).isoformat().replace("+00:00", "Z")
        assert body["renewable_until"] is None

    async def test_a_pinned_hold_is_the_bookings_alone(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1")
        await booking(bus, showtime, held).request_payment()
        await wait_until_pinned(held)
        for answer in (await held.release(), await held.renew(), await held.change(add=["A2"])):
            assert (answer.status_code, answer.json()["code"]) == (409, "hold_in_checkout")
        assert await showtime.taken() == {"A1": "held"}

    async def test_twice_changes_nothing(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        held = await showtime.held("A1")
        checkout = booking(bus, showtime, held)
        deadline = now() + timedelta(minutes=10)
        await checkout.request_payment(payment_deadline_at=deadline)
        await wait_until_pinned(held)
        before = (await held.get()).json()
        await checkout.request_payment(payment_deadline_at=deadline)
        await settled()
        assert (await held.get()).json() | {"server_time": 0} == before | {"server_time": 0}
        assert checkout.count_of(SeatsReleased) == 0

    async def test_of_other_seats_than_the_holds_ends_it(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        checkout = booking(bus, showtime, held, "A1")
        await checkout.request_payment()
        released = await checkout.released()
        assert (released.seats, released.reason) == (["A1", "A2"], "mismatch")
        await showtime.wait_for_taken()

    async def test_of_a_released_hold_is_refused(self, showtime: ShowtimeClient, bus: Bus):
        """Otherwise holds that no longer count for a limit could be checked out by their claims."""
        held = await showtime.held("A1", "A2")
        await held.release()
        late = booking(bus, showtime, held)
        await late.request_payment()
        released = await late.released()
        assert (released.seats, released.reason) == ([], "lapsed")
        assert await showtime.taken() == {}
        await late.pay()
        assert (await late.sold()).seats == ["A1", "A2"]

    async def test_of_seats_that_others_took_is_refused(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        await held.release()
        await showtime.held("A2")
        late = booking(bus, showtime, held)
        await late.request_payment()
        released = await late.released()
        assert (released.seats, released.reason) == ([], "lapsed")
        assert await showtime.taken() == {"A2": "held"}

    async def test_that_comes_after_its_own_sale_says_nothing(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        held = await showtime.held("A1")
        late = booking(bus, showtime, held)
        await late.pay()
        await late.sold()
        await late.request_payment()
        await settled()
        assert late.count_of(SeatsReleased) == 0
        assert await showtime.taken() == {"A1": "sold"}

    async def test_without_seats_is_a_dead_letter(self, showtime: ShowtimeClient, bus: Bus):
        await Booking(bus, showtime, new_id()).request_payment()
        [dead] = await bus.dead("inventory")
        assert dead.reason.startswith("rejected: RejectedEvent: booking")


class TestSale:
    async def test_turns_the_hold_into_a_sale(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A2", "A10")
        paid = booking(bus, showtime, held)
        await paid.request_payment()
        await wait_until_pinned(held)
        await paid.pay()
        assert (await paid.sold()).seats == ["A2", "A10"]
        assert await showtime.taken() == {"A2": "sold", "A10": "sold"}
        assert (await held.get()).status_code == 404
        assert (await showtime.hold("A2")).status_code == 409

    async def test_names_the_owner_and_the_amount(self, showtime: ShowtimeClient, bus: Bus):
        guests, persons, late = [booking(bus, showtime, await showtime.held(seat)) for seat in ("A1", "A2", "A3")]
        await late.expire()
        for paid in (persons, late):
            paid.facts["holder"] = Holder(user_id="ada")
        for paid in (guests, persons, late):
            await paid.pay(amount=990, currency="CHF")
        sales = [await paid.sold() for paid in (guests, persons, late)]
        assert [sale.user_id for sale in sales] == [None, "ada", "ada"]
        assert {(sale.amount, sale.currency) for sale in sales} == {(990, "CHF")}

    async def test_free_of_charge(self, showtime: ShowtimeClient, bus: Bus):
        gift = booking(bus, showtime, await showtime.held("A1"))
        await gift.confirm_free()
        sale = await gift.sold()
        assert (sale.seats, sale.amount, sale.currency) == (["A1"], 0, None)
        assert await showtime.taken() == {"A1": "sold"}

    async def test_paid_by_an_account_that_names_no_showtime(self, showtime: ShowtimeClient, bus: Bus, signer: Signer):
        held = await showtime.held("A2", "A1", headers=signer.headers("anna"))
        await bus.publish(PaymentSucceeded(booking_id=held.id, amount=990, currency="CHF"))
        sale = await booking(bus, showtime, held).sold()
        assert (sale.showtime_id, sale.seats, sale.user_id) == (showtime.showtime_id, ["A1", "A2"], "anna")
        assert (sale.amount, sale.currency) == (990, "CHF")
        assert await showtime.taken() == {"A1": "sold", "A2": "sold"}

    async def test_paid_by_such_an_account_without_a_hold_is_a_dead_letter(self, bus: Bus, client: object):
        hold_id = new_id()
        await bus.publish(PaymentSucceeded(booking_id=hold_id, amount=990, currency="CHF"))
        [dead] = await bus.dead("inventory")
        assert dead.reason.endswith(f"there is no hold {hold_id}")

    async def test_without_seats_is_a_dead_letter(self, showtime: ShowtimeClient, bus: Bus):
        await Booking(bus, showtime, new_id()).pay()
        [dead] = await bus.dead("inventory")
        assert dead.reason.startswith("rejected: RejectedEvent: booking")

    async def test_ten_times_at_once_sells_once(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        paid = booking(bus, showtime, await showtime.held("A1"))
        await asyncio.gather(*(paid.pay() for _ in range(10)))
        await paid.sold()
        await settled()
        assert (paid.count_of(SeatsSold), paid.count_of(SaleRejected)) == (1, 0)

    async def test_a_late_payment_buys_seats_that_are_still_free(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        await held.release()
        late = booking(bus, showtime, held)
        await late.pay()
        assert (await late.sold()).seats == ["A1", "A2"]
        assert await showtime.taken() == {"A1": "sold", "A2": "sold"}

    async def test_a_late_payment_for_lost_seats_is_rejected_each_time(
        self, showtime: ShowtimeClient, bus: Bus, settled: Any
    ):
        held = await showtime.held("A1", "A2")
        await held.release()
        other = await showtime.held("A2")
        late = booking(bus, showtime, held)
        await late.pay()
        assert (await late.rejected()).lost == ["A2"]
        await other.release()
        await late.pay()
        await settled()
        assert (late.count_of(SaleRejected), late.count_of(SeatsSold)) == (2, 0)
        assert await showtime.taken() == {}

    async def test_a_rejected_sale_releases_the_seats_it_still_had(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        paid = booking(bus, showtime, held, "A1", "A2", "A3")
        await showtime.held("A3")
        await paid.pay()
        assert (await paid.rejected()).lost == ["A3"]
        assert await showtime.taken() == {"A3": "held"}

    async def test_of_other_seats_sells_what_was_paid_and_frees_the_rest(self, showtime: ShowtimeClient, bus: Bus):
        held = await showtime.held("A1", "A2")
        paid = booking(bus, showtime, held, "A2", "A3")
        await paid.pay()
        assert (await paid.sold()).seats == ["A2", "A3"]
        assert await showtime.taken() == {"A2": "sold", "A3": "sold"}
        await wait_for_broadcast(bus, showtime, A1="free", A2="sold", A3="sold")

    async def test_of_seats_that_are_not_there_is_a_dead_letter(self, showtime: ShowtimeClient, bus: Bus):
        await Booking(bus, showtime, new_id(), "Z9").pay()
        [dead] = await bus.dead("inventory")
        assert dead.reason == "rejected: RejectedEvent: This auditorium has no Z9."

    async def test_of_a_blocked_seat_is_rejected(self, showtime: ShowtimeClient, bus: Bus, signer: Signer):
        address, body = f"/api/showtimes/{showtime.showtime_id}/blocks", {"seats": ["A1"], "reason": "broken"}
        await showtime.client.post(address, json=body, headers=signer.headers("staff", ["seats:block"]))
        late = Booking(bus, showtime, new_id(), "A1")
        await late.pay()
        assert (await late.rejected()).lost == ["A1"]


class TestEnd:
    async def test_an_expired_checkout_frees_its_hold(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        held = await showtime.held("A1")
        gone = booking(bus, showtime, held)
        await gone.request_payment()
        await wait_until_pinned(held)
        for _ in range(2):
            await gone.expire()
        await showtime.wait_for_taken()
        await settled()
        assert gone.count_of(SeatsReleased) == 0

    async def test_an_expiry_that_a_late_payment_has_overtaken_frees_nothing(
        self, showtime: ShowtimeClient, bus: Bus, settled: Any
    ):
        late = booking(bus, showtime, await showtime.held("A1"))
        await late.pay()
        await late.sold()
        await late.expire()
        await settled()
        assert await showtime.taken() == {"A1": "sold"}

    @pytest.mark.parametrize("ending", ["cancel", "exchange"])
    async def test_a_sold_booking_releases_its_seats_permanently(
        self, showtime: ShowtimeClient, bus: Bus, settled: Any, ending: str
    ):
        sold = booking(bus, showtime, await showtime.held("A1", "A2"))
        await sold.pay()
        await sold.sold()
        for _ in range(2):
            await getattr(sold, ending)()
        await showtime.wait_for_taken()
        await sold.pay()
        assert (await sold.rejected()).lost == ["A1", "A2"]
        await settled()
        assert sold.count_of(SeatsSold) == 1
        assert await showtime.taken() == {}

    async def test_seats_that_somebody_else_bought_since_stay_sold(
        self, showtime: ShowtimeClient, bus: Bus, settled: Any
    ):
        first = booking(bus, showtime, await showtime.held("A1"))
        await first.pay()
        await first.sold()
        await first.cancel()
        await showtime.wait_for_taken()
        second = booking(bus, showtime, await showtime.held("A1"))
        await second.pay()
        await second.sold()
        await first.cancel()
        await first.expire()
        await settled()
        assert await showtime.taken() == {"A1": "sold"}

    async def test_of_a_booking_without_seats_says_nothing(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        nobody = Booking(bus, showtime, new_id(), "A1")
        await nobody.cancel()
        await nobody.expire()
        await settled()
        assert nobody.count_of(SeatsReleased) == 0


class TestShowtimes:
    async def test_a_showtime_and_its_layout_come_in_any_order_and_twice(
        self, showtime: ShowtimeClient, bus: Bus, settled: Any
    ):
        layout_id, late = new_id(), ShowtimeClient(showtime.client, new_id())
        await bus.publish(scheduled(late.showtime_id, layout_id))
        await settled()
        assert (await late.hold("A1")).json()["code"] == "seat_map_missing"
        for _ in range(2):
            await bus.publish(layout(layout_id))
        await settled()
        await late.held("A1")
        await bus.publish(scheduled(late.showtime_id, layout_id))
        await settled()
        assert await late.taken() == {"A1": "held"}

    async def test_a_layout_with_a_seat_twice_is_a_dead_letter(self, bus: Bus, client: object):
        good = layout(new_id())
        await bus.publish(good.model_copy(update={"seats": [*good.seats, good.seats[0]]}))
        [dead] = await bus.dead("inventory")
        assert "has a duplicate seat" in dead.reason

    async def test_only_newer_times_count(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        published_at = now()

        async def moved(hours: int, seconds: int) -> None:
            start = published_at + timedelta(hours=hours)
            times = {"starts_at": start, "ends_at": start, "sales_close_at": start, "sales_open_at": start}
            event = ShowtimeRescheduled.model_validate({"showtime_id": showtime.showtime_id} | times)
            await bus.publish(event, time=published_at + timedelta(seconds=seconds))
            await settled()

        await moved(hours=5, seconds=3)
        await moved(hours=-1, seconds=2)
        assert (await showtime.hold("A1")).json()["reason"] == "not_open"
        await moved(hours=-1, seconds=4)
        assert (await showtime.hold("A1")).json()["reason"] == "closed"

    async def test_a_cancelled_showtime_releases_all_holds_except_checkouts(self, showtime: ShowtimeClient, bus: Bus):
        free, paying, sold = await showtime.held("A1"), await showtime.held("A2"), await showtime.held("A3")
        await booking(bus, showtime, paying).request_payment()
        await wait_until_pinned(paying)
        await booking(bus, showtime, sold).pay()
        await booking(bus, showtime, sold).sold()
        for _ in range(2):
            await bus.publish(ShowtimeCancelled(showtime_id=showtime.showtime_id, reason="technical"))
        await showtime.wait_for_taken(A2="held", A3="sold")
        assert (await free.get()).status_code == 404
        assert (await showtime.hold("A1")).json()["reason"] == "cancelled"

        late = booking(bus, showtime, paying)
        await late.pay()
        assert (await late.rejected()).lost == ["A2"]
        await showtime.wait_for_taken(A3="sold")
        refunded = booking(bus, showtime, sold)
        await refunded.cancel()
        await showtime.wait_for_taken()
        too_late = booking(bus, showtime, free)
        await too_late.request_payment()
        assert (await too_late.released()).reason == "lapsed"

    async def test_an_event_that_overtakes_its_showtime_waits_for_it(self, showtime: ShowtimeClient, bus: Bus):
        layout_id, early = new_id(), ShowtimeClient(showtime.client, new_id())
        await bus.publish(layout(layout_id))
        await bus.publish(ShowtimeCancelled(showtime_id=early.showtime_id, reason="other"))
        await asyncio.sleep(0.2)
        await bus.publish(scheduled(early.showtime_id, layout_id))

        async def is_cancelled() -> bool:
            answer = await early.client.get(f"/api/showtimes/{early.showtime_id}/seats")
            return answer.status_code == 200 and answer.json()["cancelled"]

        await until(is_cancelled)


MALFORMED = [b"{", b"{}", b"[]", b'{"seats": "A1", "booking_id": 7}', b"\xff\xfe"]


@pytest.mark.parametrize("event", CONSUMES["inventory"], ids=lambda event: event.type)
async def test_a_malformed_event_is_a_dead_letter_and_the_queue_moves_on(
    showtime: ShowtimeClient, bus: Bus, event: type[Event]
):
    for body in MALFORMED:
        await bus.publish_raw(event.type, body)
    dead = await bus.dead("inventory", count=len(MALFORMED))
    assert sorted(letter.body for letter in dead) == sorted(MALFORMED)
    assert all(letter.type == event.type and letter.reason.startswith("malformed: ") for letter in dead)
    after = booking(bus, showtime, await showtime.held("A1"))
    await after.pay()
    await after.sold()


async def test_an_oversized_event_is_a_dead_letter(showtime: ShowtimeClient, bus: Bus):
    await bus.publish_raw(PaymentSucceeded.type, b" " * 1_100_000)
    [dead] = await bus.dead("inventory")
    assert dead.reason.startswith("oversized: ")


class TestReturnedSeats:
    async def test_are_free_and_the_others_stay_sold(self, showtime: ShowtimeClient, bus: Bus, settled: Any):
        held = await showtime.held("A1", "A2", "A3")
        paid = booking(bus, showtime, held)
        await paid.pay()
        await paid.sold()
        returned = BookingSeatsReturned(booking_id=paid.id, showtime_id=showtime.showtime_id, seats=["A1", "A3"])
        await bus.publish(returned)
        await showtime.wait_for_taken(A2="sold")
        other = await showtime.held("A1")
        await bus.publish(returned)  # a repeat must not free the seat of its next buyer
        await paid.pay()
        await settled()
        assert await showtime.taken() == {"A1": "held", "A2": "sold"}
        assert (await other.get()).status_code == 200
