"""Every event that inventory hears: in time, repeated, late, out of order and malformed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentSucceeded
from contracts.topology import HEARS
from contracts.types import Holder

from .conftest import Booking, Box, booking, in_checkout, layout, scheduled, shown


class TestCheckout:
    async def test_pins_the_hold_beyond_the_payment_deadline(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        checkout = booking(bus, box, held)
        deadline = now() + timedelta(minutes=10)
        await checkout.checks_out(payment_deadline_at=deadline)
        await in_checkout(held)
        body = (await held.get()).json()
        assert body["expires_at"] == (deadline + timedelta(minutes=20)).isoformat().replace("+00:00", "Z")
        assert body["renewable_until"] is None

    async def test_a_pinned_hold_is_the_bookings_alone(self, box: Box, bus: Bus):
        held = await box.held("A1")
        await booking(bus, box, held).checks_out()
        await in_checkout(held)
        for answer in (await held.release(), await held.renew(), await held.change(add=["A2"])):
            assert (answer.status_code, answer.json()["code"]) == (409, "hold_in_checkout")
        assert await box.taken() == {"A1": "held"}

    async def test_twice_changes_nothing(self, box: Box, bus: Bus, settled: Any):
        held = await box.held("A1")
        checkout = booking(bus, box, held)
        deadline = now() + timedelta(minutes=10)
        await checkout.checks_out(payment_deadline_at=deadline)
        await in_checkout(held)
        before = (await held.get()).json()
        await checkout.checks_out(payment_deadline_at=deadline)
        await settled()
        assert (await held.get()).json() | {"server_time": 0} == before | {"server_time": 0}
        assert checkout.said(SeatsReleased) == 0

    async def test_of_other_seats_than_the_holds_ends_it(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        checkout = booking(bus, box, held, "A1")
        await checkout.checks_out()
        released = await checkout.released()
        assert (released.seats, released.reason) == (["A1", "A2"], "mismatch")
        await box.comes_to()

    async def test_takes_seats_again_that_were_just_released(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        await held.release()
        late = booking(bus, box, held)
        await late.checks_out()
        await in_checkout(held)
        assert await box.taken() == {"A1": "held", "A2": "held"}
        await late.is_paid()
        assert (await late.sold()).seats == ["A1", "A2"]

    async def test_of_seats_that_others_took_is_refused(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        await held.release()
        await box.held("A2")
        late = booking(bus, box, held)
        await late.checks_out()
        released = await late.released()
        assert (released.seats, released.reason) == ([], "lapsed")
        assert await box.taken() == {"A2": "held"}

    async def test_of_seats_that_are_not_there_is_a_dead_letter(self, box: Box, bus: Bus):
        await Booking(bus, box, new_id(), "Z9").checks_out()
        [dead] = await bus.dead("inventory")
        assert dead.reason == "rejected: RejectedEvent: This auditorium has no Z9."

    async def test_that_comes_after_its_own_sale_says_nothing(self, box: Box, bus: Bus, settled: Any):
        held = await box.held("A1")
        late = booking(bus, box, held)
        await late.is_paid()
        await late.sold()
        await late.checks_out()
        await settled()
        assert late.said(SeatsReleased) == 0
        assert await box.taken() == {"A1": "sold"}

    async def test_without_seats_is_a_dead_letter(self, box: Box, bus: Bus):
        await Booking(bus, box, new_id()).checks_out()
        [dead] = await bus.dead("inventory")
        assert dead.reason.startswith("rejected: RejectedEvent: booking")


class TestSale:
    async def test_turns_the_hold_into_a_sale(self, box: Box, bus: Bus):
        held = await box.held("A2", "A10")
        paid = booking(bus, box, held)
        await paid.checks_out()
        await in_checkout(held)
        await paid.is_paid()
        assert (await paid.sold()).seats == ["A2", "A10"]
        assert await box.taken() == {"A2": "sold", "A10": "sold"}
        assert (await held.get()).status_code == 404
        assert (await box.hold("A2")).status_code == 409

    async def test_says_whose_seats_they_are_and_what_was_paid(self, box: Box, bus: Bus):
        guests, persons, late = [booking(bus, box, await box.held(seat)) for seat in ("A1", "A2", "A3")]
        await late.has_expired()
        for paid in (persons, late):
            paid.facts["holder"] = Holder(user_id="ada")
        for paid in (guests, persons, late):
            await paid.is_paid(amount=990, currency="CHF")
        sales = [await paid.sold() for paid in (guests, persons, late)]
        assert [sale.user_id for sale in sales] == [None, "ada", "ada"]
        assert {(sale.amount, sale.currency) for sale in sales} == {(990, "CHF")}

    async def test_free_of_charge(self, box: Box, bus: Bus):
        gift = booking(bus, box, await box.held("A1"))
        await gift.is_free_of_charge()
        sale = await gift.sold()
        assert (sale.seats, sale.amount, sale.currency) == (["A1"], 0, None)
        assert await box.taken() == {"A1": "sold"}

    async def test_paid_by_an_account_that_names_no_showtime(self, box: Box, bus: Bus, signer: Signer):
        held = await box.held("A2", "A1", headers=signer.headers("anna"))
        await bus.say(PaymentSucceeded(booking_id=held.id, amount=990, currency="CHF"))
        sale = await booking(bus, box, held).sold()
        assert (sale.showtime_id, sale.seats, sale.user_id) == (box.showtime_id, ["A1", "A2"], "anna")
        assert (sale.amount, sale.currency) == (990, "CHF")
        assert await box.taken() == {"A1": "sold", "A2": "sold"}

    async def test_paid_by_such_an_account_without_a_hold_is_a_dead_letter(self, bus: Bus, client: object):
        hold_id = new_id()
        await bus.say(PaymentSucceeded(booking_id=hold_id, amount=990, currency="CHF"))
        [dead] = await bus.dead("inventory")
        assert dead.reason.endswith(f"there is no hold {hold_id}")

    async def test_without_seats_is_a_dead_letter(self, box: Box, bus: Bus):
        await Booking(bus, box, new_id()).is_paid()
        [dead] = await bus.dead("inventory")
        assert dead.reason.startswith("rejected: RejectedEvent: booking")

    async def test_ten_times_at_once_sells_once(self, box: Box, bus: Bus, settled: Any):
        paid = booking(bus, box, await box.held("A1"))
        await asyncio.gather(*(paid.is_paid() for _ in range(10)))
        await paid.sold()
        await settled()
        assert (paid.said(SeatsSold), paid.said(SaleRejected)) == (1, 0)

    async def test_late_money_buys_seats_that_are_still_free(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        await held.release()
        late = booking(bus, box, held)
        await late.is_paid()
        assert (await late.sold()).seats == ["A1", "A2"]
        assert await box.taken() == {"A1": "sold", "A2": "sold"}

    async def test_late_money_for_lost_seats_is_rejected_each_time(self, box: Box, bus: Bus, settled: Any):
        held = await box.held("A1", "A2")
        await held.release()
        other = await box.held("A2")
        late = booking(bus, box, held)
        await late.is_paid()
        assert (await late.rejected()).lost == ["A2"]
        await other.release()
        await late.is_paid()
        await settled()
        assert (late.said(SaleRejected), late.said(SeatsSold)) == (2, 0)
        assert await box.taken() == {}

    async def test_a_rejected_sale_gives_back_what_it_still_had(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        paid = booking(bus, box, held, "A1", "A2", "A3")
        await box.held("A3")
        await paid.is_paid()
        assert (await paid.rejected()).lost == ["A3"]
        assert await box.taken() == {"A3": "held"}

    async def test_of_other_seats_sells_what_was_paid_and_frees_the_rest(self, box: Box, bus: Bus):
        held = await box.held("A1", "A2")
        paid = booking(bus, box, held, "A2", "A3")
        await paid.is_paid()
        assert (await paid.sold()).seats == ["A2", "A3"]
        assert await box.taken() == {"A2": "sold", "A3": "sold"}
        await shown(bus, box, A1="free", A2="sold", A3="sold")

    async def test_of_seats_that_are_not_there_is_a_dead_letter(self, box: Box, bus: Bus):
        await Booking(bus, box, new_id(), "Z9").is_paid()
        [dead] = await bus.dead("inventory")
        assert dead.reason == "rejected: RejectedEvent: This auditorium has no Z9."

    async def test_of_a_blocked_seat_is_rejected(self, box: Box, bus: Bus, signer: Signer):
        address, body = f"/api/showtimes/{box.showtime_id}/blocks", {"seats": ["A1"], "reason": "broken"}
        await box.client.post(address, json=body, headers=signer.headers("staff", ["seats:block"]))
        late = Booking(bus, box, new_id(), "A1")
        await late.is_paid()
        assert (await late.rejected()).lost == ["A1"]


class TestEnd:
    async def test_an_expired_checkout_frees_its_hold(self, box: Box, bus: Bus, settled: Any):
        held = await box.held("A1")
        gone = booking(bus, box, held)
        await gone.checks_out()
        await in_checkout(held)
        for _ in range(2):
            await gone.has_expired()
        await box.comes_to()
        await settled()
        assert gone.said(SeatsReleased) == 0

    async def test_an_expiry_that_late_money_has_overtaken_frees_nothing(self, box: Box, bus: Bus, settled: Any):
        late = booking(bus, box, await box.held("A1"))
        await late.is_paid()
        await late.sold()
        await late.has_expired()
        await settled()
        assert await box.taken() == {"A1": "sold"}

    @pytest.mark.parametrize("ending", ["is_cancelled", "is_exchanged"])
    async def test_a_sold_booking_gives_its_seats_back_for_good(self, box: Box, bus: Bus, settled: Any, ending: str):
        sold = booking(bus, box, await box.held("A1", "A2"))
        await sold.is_paid()
        await sold.sold()
        for _ in range(2):
            await getattr(sold, ending)()
        await box.comes_to()
        await sold.is_paid()
        assert (await sold.rejected()).lost == ["A1", "A2"]
        await settled()
        assert sold.said(SeatsSold) == 1
        assert await box.taken() == {}

    async def test_seats_that_somebody_else_bought_since_stay_sold(self, box: Box, bus: Bus, settled: Any):
        first = booking(bus, box, await box.held("A1"))
        await first.is_paid()
        await first.sold()
        await first.is_cancelled()
        await box.comes_to()
        second = booking(bus, box, await box.held("A1"))
        await second.is_paid()
        await second.sold()
        await first.is_cancelled()
        await first.has_expired()
        await settled()
        assert await box.taken() == {"A1": "sold"}

    async def test_of_a_booking_without_seats_says_nothing(self, box: Box, bus: Bus, settled: Any):
        nobody = Booking(bus, box, new_id(), "A1")
        await nobody.is_cancelled()
        await nobody.has_expired()
        await settled()
        assert nobody.said(SeatsReleased) == 0


class TestProgram:
    async def test_a_showtime_and_its_layout_come_in_any_order_and_twice(self, box: Box, bus: Bus, settled: Any):
        layout_id, late = new_id(), Box(box.client, new_id())
        await bus.say(scheduled(late.showtime_id, layout_id))
        await settled()
        assert (await late.hold("A1")).json()["code"] == "seat_map_missing"
        for _ in range(2):
            await bus.say(layout(layout_id))
        await settled()
        await late.held("A1")
        await bus.say(scheduled(late.showtime_id, layout_id))
        await settled()
        assert await late.taken() == {"A1": "held"}

    async def test_a_layout_with_a_seat_twice_is_a_dead_letter(self, bus: Bus, client: object):
        good = layout(new_id())
        await bus.say(good.model_copy(update={"seats": [*good.seats, good.seats[0]]}))
        [dead] = await bus.dead("inventory")
        assert "names a seat twice" in dead.reason

    async def test_only_newer_times_count(self, box: Box, bus: Bus, settled: Any):
        said_at = now()

        async def moved(hours: int, seconds: int) -> None:
            start = said_at + timedelta(hours=hours)
            times = {"starts_at": start, "ends_at": start, "sales_close_at": start, "sales_open_at": start}
            event = ShowtimeRescheduled.model_validate({"showtime_id": box.showtime_id} | times)
            await bus.say(event, time=said_at + timedelta(seconds=seconds))
            await settled()

        await moved(hours=5, seconds=3)
        await moved(hours=-1, seconds=2)
        assert (await box.hold("A1")).json()["reason"] == "not_open"
        await moved(hours=-1, seconds=4)
        assert (await box.hold("A1")).json()["reason"] == "closed"

    async def test_a_cancelled_showtime_lets_all_but_checkouts_go(self, box: Box, bus: Bus):
        free, paying, sold = await box.held("A1"), await box.held("A2"), await box.held("A3")
        await booking(bus, box, paying).checks_out()
        await in_checkout(paying)
        await booking(bus, box, sold).is_paid()
        await booking(bus, box, sold).sold()
        for _ in range(2):
            await bus.say(ShowtimeCancelled(showtime_id=box.showtime_id, reason="technical"))
        await box.comes_to(A2="held", A3="sold")
        assert (await free.get()).status_code == 404
        assert (await box.hold("A1")).json()["reason"] == "cancelled"

        late = booking(bus, box, paying)
        await late.is_paid()
        assert (await late.rejected()).lost == ["A2"]
        await box.comes_to(A3="sold")
        refunded = booking(bus, box, sold)
        await refunded.is_cancelled()
        await box.comes_to()
        too_late = booking(bus, box, free)
        await too_late.checks_out()
        assert (await too_late.released()).reason == "lapsed"

    async def test_an_event_that_overtakes_its_showtime_waits_for_it(self, box: Box, bus: Bus):
        layout_id, early = new_id(), Box(box.client, new_id())
        await bus.say(layout(layout_id))
        await bus.say(ShowtimeCancelled(showtime_id=early.showtime_id, reason="other"))
        await asyncio.sleep(0.2)
        await bus.say(scheduled(early.showtime_id, layout_id))

        async def is_cancelled() -> bool:
            answer = await early.client.get(f"/api/showtimes/{early.showtime_id}/seats")
            return answer.status_code == 200 and answer.json()["cancelled"]

        await until(is_cancelled)


MALFORMED = [b"{", b"{}", b"[]", b'{"seats": "A1", "booking_id": 7}', b"\xff\xfe"]


@pytest.mark.parametrize("event", HEARS["inventory"], ids=lambda event: event.type)
async def test_a_malformed_event_is_a_dead_letter_and_the_queue_moves_on(box: Box, bus: Bus, event: type[Event]):
    for body in MALFORMED:
        await bus.say_raw(event.type, body)
    dead = await bus.dead("inventory", count=len(MALFORMED))
    assert sorted(letter.body for letter in dead) == sorted(MALFORMED)
    assert all(letter.type == event.type and letter.reason.startswith("malformed: ") for letter in dead)
    after = booking(bus, box, await box.held("A1"))
    await after.is_paid()
    await after.sold()


async def test_an_oversized_event_is_a_dead_letter(box: Box, bus: Bus):
    await bus.say_raw(PaymentSucceeded.type, b" " * 1_100_000)
    [dead] = await bus.dead("inventory")
    assert dead.reason.startswith("oversized: ")
