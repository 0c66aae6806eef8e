"""People turn reminders off and on: by the link in a reminder, and in their account."""

import pytest
from chassis.security.signed import SignedText
from chassis.testing import until
from contracts.types import Id, Shape
from newcomer import PASSWORD, Newcomer
from playwright.async_api import expect
from pydantic import SecretStr


class Link(Shape):
    """The claim of a reminder's link."""

    booking_id: Id
    address_hash: str


@pytest.fixture
async def address(cinema) -> str:
    """The page for a booking, with a link that is signed as the notifier does."""
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    booking = await guest.settled(await guest.buy(showtime_id, seats, "forgetful@usher.example"), "confirmed")
    links = SignedText(Link, "usher:reminders", SecretStr(cinema.platform.env["LINK_KEY"]))
    token = links.sign(Link(booking_id=booking["id"], address_hash=booking["id"]))

    async def is_planned() -> bool:
        state = await guest.call("POST", "/api/notifications/reminder-choices", json={"token": token})
        return state["booking"] is True

    await until(is_planned)
    return f"/reminders#token={token}"


async def test_the_link_turns_reminders_off_and_on(visit, address, device):
    visitor = await visit(device)
    page = visitor.page
    await page.goto(address)
    state = page.get_by_role("main").get_by_role("status")
    await expect(state).to_contain_text("a day and two hours before")
    await visitor.button("Turn off for this booking").focus()
    await page.keyboard.press("Enter")
    await expect(state).to_contain_text("no reminders for this booking")
    await visitor.button("Turn on for this booking").click()
    await visitor.button("Turn off for all bookings").click()
    await expect(state).to_contain_text("no reminders for any booking")
    await page.reload()
    await visitor.button("Turn reminders on").click()
    await expect(state).to_contain_text("a day and two hours before")
    await page.goto("/theaters")
    await page.goto("/reminders#token=invented")
    await expect(page.get_by_text("This link is not valid")).to_be_visible()


async def test_the_account_turns_reminders_off(visit, cinema):
    newcomer = Newcomer(cinema)
    await newcomer.sign_up()
    visitor = await visit("phone")
    page = visitor.page
    await page.goto("/account")
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await visitor.enter(newcomer.email, PASSWORD)
    wanted = page.get_by_role("checkbox", name="E-mail me a day and two hours before my film")
    await expect(wanted).to_be_checked()
    await wanted.click()
    await expect(wanted).to_be_enabled()
    await expect(wanted).not_to_be_checked()
    await page.reload()
    await expect(wanted).not_to_be_checked()
