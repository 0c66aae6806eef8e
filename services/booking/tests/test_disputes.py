"""The staff's list of disputes: bound to their theaters, with the state that Stripe reported last."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.http.paging import encode_cursor
from chassis.testing import until
from contracts.payment import PaymentDisputed

from .conftest import Customer, Staff, problem
from .examples import TOTAL

PATH = "/api/bookings/disputes"
Dispute = Callable[..., Any]


@pytest.fixture
def report(customer: Customer) -> Dispute:
    """Publish a state of the customer's dispute and wait until the list has it."""

    async def publish(status: str, **changes: Any) -> None:
        facts = {"booking_id": customer.id, "dispute_id": f"du-{customer.id}", "amount": TOTAL, "currency": "EUR"}
        is_open = status not in {"won", "lost"}
        event = PaymentDisputed.model_validate(facts | {"status": status, "is_open": is_open} | changes)
        await customer.bus.publish(event)

    return publish


async def listed(customer: Customer, headers: dict[str, str], **params: Any) -> list[dict[str, Any]]:
    answer = await customer.client.get(PATH, headers=headers, params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    return [each for each in answer.json()["items"] if each["booking_id"] == customer.id]


async def test_staff_see_until_when_a_dispute_must_be_answered_and_how_it_ended(
    customer: Customer, staff: Staff, report: Dispute
):
    booking = await customer.buy_tickets()
    manager, respond_by = staff("bookings:refund", theaters=("t1",)), now() + timedelta(days=9)
    await report("needs_response", reason="fraudulent", respond_by=respond_by)
    (shown,) = await until(lambda: listed(customer, manager))
    assert (shown["status"], shown["is_open"], shown["reason"]) == ("needs_response", True, "fraudulent")
    assert shown["respond_by"].startswith(respond_by.isoformat()[:22])
    assert (shown["reference"], shown["amount"], shown["currency"]) == (booking["reference"], TOTAL, "EUR")
    assert (shown["movie_title"], shown["theater_id"]) == (booking["screening"]["movie_title"], "t1")

    await report("won", reason="fraudulent")
    (ended,) = await until(lambda: listed(customer, manager, is_open=False))
    assert (ended["status"], ended["is_open"], ended["respond_by"]) == ("won", False, None)
    assert ended["opened_at"] == shown["opened_at"] < ended["changed_at"]
    assert await listed(customer, manager) == []


async def test_a_late_event_does_not_open_a_dispute_again(
    customer: Customer, guest: Customer, staff: Staff, report: Any
):
    await customer.buy_tickets()
    everywhere = staff("bookings:refund")
    await report("lost")
    await until(lambda: listed(customer, everywhere, is_open=False))
    for status in ("needs_response", "under_review", "won", "lost"):
        await report(status)
    # Another dispute of the same booking: its event is handled after the late ones.
    await report("needs_response", dispute_id=f"du2-{customer.id}")
    opened = await until(lambda: listed(customer, everywhere))
    assert [each["dispute_id"] for each in opened] == [f"du2-{customer.id}"]
    ended = await listed(customer, everywhere, is_open=False)
    assert [(each["dispute_id"], each["status"]) for each in ended] == [(f"du-{customer.id}", "lost")]


async def test_the_list_is_for_staff_who_refund_at_the_theater(customer: Customer, staff: Staff, report: Dispute):
    await customer.buy_tickets()
    await report("under_review")
    await until(lambda: listed(customer, staff("bookings:refund")))
    assert await listed(customer, staff("bookings:refund", theaters=("t2",))) == []
    assert problem(await customer.client.get(PATH)) == (401, "unauthenticated")
    for headers in (customer.headers, staff("bookings:read", "bookings:write")):
        assert problem(await customer.client.get(PATH, headers=headers)) == (403, "forbidden")


async def test_the_list_has_pages(customer: Customer, staff: Staff, report: Dispute):
    await customer.buy_tickets()
    headers, names = staff("bookings:refund"), {f"du{n}-{customer.id}" for n in range(3)}
    for name in sorted(names):
        await report("needs_response", dispute_id=name)

    async def pages(**params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = (await customer.client.get(PATH, headers=headers, params={"limit": 2, **params, **cursor})).json()
            found += answer["items"]
            if not answer["next_cursor"]:
                return found
            cursor = {"cursor": answer["next_cursor"]}

    async def all_open() -> list[dict[str, Any]]:
        found = await pages()
        return found if names <= {each["dispute_id"] for each in found} else []

    found = await until(all_open)
    assert len({each["dispute_id"] for each in found}) == len(found)
    assert [each["opened_at"] for each in found] == sorted(each["opened_at"] for each in found)
    for name in names:
        await report("won", dispute_id=name)
    await until(lambda: pages_empty(pages, names))
    ended = [each["opened_at"] for each in await pages(is_open=False)]
    assert ended == sorted(ended, reverse=True)
    too_early = encode_cursor("0001-01-01T00:00:00+14:00", "x")
    for cursor in ("x", "WyIyMDI2Il0", "WyJub3cuLi4iLCAieCJd", too_early):
        assert problem(await customer.client.get(PATH, headers=headers, params={"cursor": cursor})) == (
            422,
            "cursor_invalid",
        )


async def pages_empty(pages: Any, names: set[str]) -> bool:
    return not names & {each["dispute_id"] for each in await pages()}
